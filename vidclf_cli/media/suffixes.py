"""File name suffixes: which say video, which say something else, and which say nothing reliable."""

from __future__ import annotations

from enum import Enum, auto


class SuffixKind(Enum):
    """What a suffix says about a file's content."""

    VIDEO = auto()  # take it; if it is no video, that is worth a `failed` row
    PICTURE_OR_VIDEO = auto()  # a video when it moves: look inside
    SHARED = auto()  # also used for source code: a video unless it reads as text
    OTHER = auto()  # known to be something else: never opened
    UNKNOWN = auto()  # look inside


_VIDEO_WORDS = """
3g2 3gp 3gp2 3gpp 264 265 amv asf avc avi avs2 av1 dav divx dv dvr-ms evo f4v flv gxf h261 h263 h264
h265 h266 hevc ivf ivr kux lrv m1v m2t m2ts m2v m4v mj2 mjpeg mjpg mk3d mkv moov mov movie mp2v mp4 mp4v
mpe mpeg mpg mpv mpv2 mqv mxf nsv nut nuv obu ogm ogv ogx qt rm rmvb swfv tod tp trp ty vob vro vc1 vvc
webm wm wmv wtv xesc xvid y4m yuv4mpeg
"""
# Unfinished downloads stay out: they are no videos yet. Playlists too: they only point at videos.
_OTHER_WORDS = """
part partial crdownload download opdownload aria2 ytdl !ut !qb bc! td tmp temp lock swp bak old m3u m3u8
pls mpd ism isml strm sdp asx wpl xspf cue concat ffconcat edl fcpxml prproj kdenlive torrent nzb url
webloc lnk desktop srt vtt ass ssa sub idx sup smi ttml dfxp sbv lrc usf stl nfo json jsonl ndjson xml
csv tsv txt md rst log yml yaml toml ini cfg conf html htm mhtml css js jsx tsx map rtf pdf doc docx xls
xlsx ods odt odp ppt pptx epub mobi ipynb tex bib sql db sqlite sqlite3 db-wal db-shm db-journal thm ifo
bup xmp exif aae jpg jpeg jpe jfif png apng bmp tif tiff webp heic heif hif jxl jp2 ico icns svg psd psb
ai eps raw arw cr2 cr3 crw dng nef nrw orf raf rw2 pef srw x3f gpr tga exr hdr pcx ppm pgm pbm pnm xcf
kra insp mp3 m4a m4b m4p m4r aac ac3 ac4 eac3 aif aifc aiff alac amr ape au caf dsf dff dts dtshd flac
gsm it mid midi mka mlp mp1 mp2 mpa mpc oga opus ra ram rf64 s3m shn snd spx thd tak tta voc w64 wav
weba wma wv xm zip 7z rar gz bz2 xz zst lz4 tar tgz tbz2 iso img nrg dmg jar apk deb rpm whl par2 sfv
md5 sha1 sha256 sha512 sfk sig asc pem key crt py pyc pyi ipy rb go rs c h cc cpp hpp cs java kt swift
php pl sh bash zsh fish bat cmd ps1 lua r jl m mm exe dll so dylib a o obj lib class wasm onnx pt pth
safetensors h5 hdf5 npy npz parquet arrow feather pkl pickle tfrecord joblib ckpt gguf proto ttf otf
woff woff2 eot blend fbx glb gltf usdz gpx kml fit
"""
_VIDEO = frozenset(_VIDEO_WORDS.split())
_OTHER = frozenset(_OTHER_WORDS.split())
_PICTURE_OR_VIDEO = frozenset({"gif", "avif", "avifs"})
_SHARED = frozenset({"ts", "mts"})  # TypeScript
_LONGEST_SUFFIX = 12
"""`Mr. Bean at the swimming pool` has no suffix; `x.part` has one."""


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in lower case without its dot; empty when it has none."""
    stem, dot, suffix = name.rpartition(".")
    return suffix.lower() if dot and stem and len(suffix) <= _LONGEST_SUFFIX else ""


def kind_of_suffix(suffix: str) -> SuffixKind:
    """Classify a suffix as `suffix_of` returns it."""
    if suffix in _VIDEO:
        return SuffixKind.VIDEO
    if suffix in _OTHER:
        return SuffixKind.OTHER
    if suffix in _PICTURE_OR_VIDEO:
        return SuffixKind.PICTURE_OR_VIDEO
    if suffix in _SHARED:
        return SuffixKind.SHARED
    return SuffixKind.UNKNOWN
