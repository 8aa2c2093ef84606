"""The text about a video, from every source, in order of trust."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vidclf_cli.metadata.names import clean_file_name, clean_folder_name
from vidclf_cli.metadata.sidecars import Sidecars
from vidclf_cli.metadata.text import Fields, MetadataText, compose
from vidclf_cli.records import Video

_TITLE_TAGS = ("title", "show", "episode_title", "©nam")
_KEYWORD_TAGS = ("genre", "keywords")
_NAME_TAGS = ("artist", "album_artist", "author")
_PASSAGE_TAGS = ("description", "synopsis", "comment", "summary", "lyrics")
_FOLDER_LEVELS = 2
# What encoders and cameras write where a person would say something.
_TOOL_MARKS = (
    "lavf",
    "lavc",
    "handbrake",
    "handler",
    "ffmpeg",
    "encoder",
    "created with",
    "created by",
    "isom",
)


def collect_text(
    video: Video,
    container_tags: Mapping[str, str],
    sidecars: Sidecars,
    gives_away: Callable[[str], bool] = lambda _: False,
) -> MetadataText:
    """Compose the text about a video.

    In order of trust: yt-dlp's `.info.json`, `.nfo`, the root's table, subtitles, container tags, the
    file's name, the names of the folders between the root and the file. The names of the root and of the
    folders above it are not used: they are the same for all videos, often somebody's user name, and the
    text (and with it the label) would depend on the folder the command was started for.

    Args:
        video: The video; its file is not opened.
        container_tags: Lower-case keys, as `MediaInfo.tags`.
        sidecars: Shared by all videos of a run.
        gives_away: Tells which names, of the file and of folders, to leave out: those that only repeat the
            label of a labelled video, which no video yet to be labelled has.

    Returns:
        An empty text when nothing says anything. Never fails on what the files hold.
    """
    return compose(
        (
            ("info-json", sidecars.info_json(video)),
            ("nfo", sidecars.nfo(video)),
            ("show-nfo", sidecars.show_nfo(video)),
            ("table", sidecars.table(video)),
            ("subtitles", sidecars.subtitles(video)),
            ("container", _container_fields(container_tags)),
            ("file-name", _titles(*_without((clean_file_name(video.path.stem),), gives_away))),
            ("folder-name", _titles(*_without(_folder_names(video), gives_away)[:_FOLDER_LEVELS])),
        )
    )


def _titles(*titles: str) -> Fields:
    return Fields(titles=tuple(title for title in titles if title))


def _folder_names(video: Video) -> tuple[str, ...]:
    """Return what the folders below the root say, the nearest first."""
    folders = video.path.parent.parts[len(video.root.parts) :]
    return tuple(text for folder in reversed(folders) if (text := clean_folder_name(folder)))


def _without(names: tuple[str, ...], gives_away: Callable[[str], bool]) -> tuple[str, ...]:
    return tuple(name for name in names if not gives_away(name))


def _container_fields(tags: Mapping[str, str]) -> Fields:
    def pick(keys: tuple[str, ...]) -> tuple[str, ...]:
        values = (tags.get(key, "") for key in keys)
        return tuple(value for value in values if value.strip() and not value.lower().startswith(_TOOL_MARKS))

    keywords = tuple(part.strip() for value in pick(_KEYWORD_TAGS) for part in value[:1000].split(","))
    return Fields(pick(_TITLE_TAGS), keywords, pick(_NAME_TAGS), pick(_PASSAGE_TAGS))
