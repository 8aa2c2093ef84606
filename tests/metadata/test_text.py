from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vidclf_cli.metadata.text import TEXT_LIMIT, Fields, MetadataText, compose


def test_titles_come_first_then_names_and_keywords_then_passages() -> None:
    composed = compose(
        [
            ("info-json", Fields(("Latte art",), ("coffee", "milk"), ("Bob",), ("Pour slowly.",))),
            ("file-name", Fields(titles=("barista class",))),
        ]
    )
    assert composed.text == "Latte art. barista class. Bob. coffee, milk. Pour slowly."
    assert composed.sources == ("info-json", "file-name")


def test_nothing_is_said_twice_and_a_source_that_adds_nothing_is_not_named() -> None:
    composed = compose(
        [
            ("info-json", Fields(titles=("Latte Art: a class!",), passages=("Latte art, a class.\nMore.",))),
            ("file-name", Fields(titles=("latte art",))),
        ]
    )
    assert composed.text == "Latte Art: a class! More."
    assert composed.sources == ("info-json",)


def test_links_control_characters_and_lines_that_lead_to_links_go() -> None:
    passage = (
        "Watch\x00 the\u200b game\u202e.\nSubscribe: https://example.com/x\n00:12 Intro\nmail me@example.com"
    )
    assert compose([("info-json", Fields(passages=(passage,)))]).text == "Watch the game. Intro."


def test_keywords_that_say_nothing_go() -> None:
    assert (
        compose([("nfo", Fields(keywords=("video", "#cats", "2020", "Cats", "hd", "x" * 90)))]).text
        == "Cats."
    )


def test_what_says_nothing_gives_no_text() -> None:
    nothing = Fields(
        titles=("IMG_0042", "  "), keywords=("video",), passages=("https://example.com", "...", "1")
    )
    assert compose([("info-json", nothing)]) == MetadataText()
    assert compose([]) == MetadataText()


def test_one_long_source_leaves_room_for_the_others() -> None:
    long = "\n".join(f"This is sentence number {n} of a long story." for n in range(1000))
    composed = compose(
        [("info-json", Fields(passages=(long,))), ("subtitles", Fields(passages=("The cat sat down.",)))]
    )
    assert composed.sources == ("info-json", "subtitles")
    assert len(composed.text) <= TEXT_LIMIT


def test_the_whole_is_cut_at_a_word() -> None:
    sources = [
        (name, Fields(titles=(f"{name} " + "title " * 40,), passages=(f"{name} " + "story " * 200,)))
        for name in ("alpha", "beta", "gamma", "delta")
    ]
    composed = compose(sources)
    assert TEXT_LIMIT - 20 < len(composed.text) <= TEXT_LIMIT
    assert composed.text.endswith((" story", "."))
    assert composed.sources == ("alpha", "beta", "gamma", "delta")


_texts = st.lists(st.text(max_size=300), max_size=6).map(tuple)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.builds(Fields, _texts, _texts, _texts, _texts)), max_size=4)
)
def test_any_fields_give_bounded_clean_text(sources: list[tuple[str, Fields]]) -> None:
    composed = compose(sources)
    assert len(composed.text) <= TEXT_LIMIT
    assert composed.text == composed.text.strip()
    assert not set(composed.text) & set("\n\r\t\0")
    composed.text.encode("utf-8")
    assert bool(composed.text) == bool(composed.sources)
