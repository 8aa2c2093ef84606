"""What becomes of each of the awkward real files in `videos/` of the shared test data.

    python -m tests.media.real_videos

prints the table for the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RealVideo:
    """A real file and its outcome.

    Attributes:
        path: Below `videos/`.
        outcome: `ok`, or its reason.
        frame_count: Frames that 8 wanted ones give.
        about: What is odd about it.
    """

    path: str
    outcome: str
    frame_count: int = 0
    about: str = ""


SOUND_ONLY = "no-picture: no picture in it (sound only)"
ENCRYPTED = "encrypted: its picture is encrypted (copy protection)"
NO_FRAME = "damaged: no frame could be decoded"
STILL = "not-a-video: a still picture"

REAL_VIDEOS = (
    RealVideo("androidx_media/avif_white-1x1.avif", STILL, about="AVIF of one pixel"),
    RealVideo("androidx_media/drm_sample_fragmented_widevine.mp4", ENCRYPTED, about="Widevine, fragmented"),
    RealVideo("androidx_media/flv_sample-with-key-frame-index.flv", "ok", 4, "Flash video"),
    RealVideo("androidx_media/mkv_bbb_642x642_768kbps_30fps_vp9.webm", "ok", 4, "VP9, one keyframe"),
    RealVideo("androidx_media/mkv_sample_last_cluster.mkv", "ok", 4, "last cluster of unknown size"),
    RealVideo(
        "androidx_media/mkv_sample_with_htc_rotation_track_name.mkv", "ok", 4, "rotation in a track name"
    ),
    RealVideo("androidx_media/mkv_sample_with_opus_audio.mkv", SOUND_ONLY, about="Opus alone"),
    RealVideo("androidx_media/mkv_sample_with_ssa_subtitles.mkv", "ok", 4, "with subtitles"),
    RealVideo("androidx_media/mkv_subsample_encrypted_noaltref.webm", ENCRYPTED, about="WebM encryption"),
    RealVideo("androidx_media/mp4_bbb_176x144_128kbps_15fps_h263.3gp", "ok", 4, "H.263, pixels 12:11"),
    RealVideo("androidx_media/mp4_bbb_176x144_192kbps_15fps_mpeg4.mp4", "ok", 4, "MPEG-4 part 2"),
    RealVideo("androidx_media/mp4_bt601.mov", "ok", 4, "BT.601, sound first"),
    RealVideo("androidx_media/mp4_edit_list_positive_shift.mp4", "ok", 8, "edit list, nearly uniform frames"),
    RealVideo(
        "androidx_media/mp4_h265_with_metadata_track.mp4", "ok", 3, "HEVC, 3 frames, rotated, data track"
    ),
    RealVideo("androidx_media/mp4_hdr10-av1.mp4", "ok", 4, "AV1, HDR10"),
    RealVideo("androidx_media/mp4_hlg10-color-test.mp4", "ok", 4, "HEVC, HLG, 10 bit"),
    RealVideo("androidx_media/mp4_pixel7_videoOnly_cleaned.mp4", "ok", 8, "upside down, uniform frames"),
    RealVideo("androidx_media/mp4_portrait_4k60.mp4", "ok", 4, "4K, 60 frames a second, rotated"),
    RealVideo("androidx_media/mp4_sample_ac3_aac.mp4", SOUND_ONLY, about="two sound tracks"),
    RealVideo("androidx_media/mp4_sample_android_slow_motion.mp4", "ok", 4, "slow motion"),
    RealVideo("androidx_media/mp4_sample_audio_only_15s.mp4", SOUND_ONLY),
    RealVideo("androidx_media/mp4_sample_dts_hd_ma.mp4", SOUND_ONLY, about="DTS-HD"),
    RealVideo("androidx_media/mp4_sample_mdat_too_long.mp4", "ok", 4, "a box longer than the file"),
    RealVideo("androidx_media/mp4_sample_partially_fragmented.mp4", "ok", 4, "half of it in fragments"),
    RealVideo("androidx_media/mp4_sample_portrait.mp4", "ok", 4, "portrait"),
    RealVideo("androidx_media/mp4_sample_twos_pcm.mp4", "ok", 4, "PCM sound"),
    RealVideo("androidx_media/mp4_sample_unsupported_brands.mp4", "ok", 4, "unknown brands"),
    RealVideo("androidx_media/mp4_sample_vvc.mp4", "ok", 5, "VVC"),
    RealVideo(
        "androidx_media/mp4_sample_with_fake_auxiliary_tracks.mp4", "ok", 1, "10x12 pixels, no durations"
    ),
    RealVideo("androidx_media/mp4_sample_with_invalid_nalu.mp4", "ok", 4, "an invalid NAL unit"),
    RealVideo("androidx_media/mp4_sample_with_metadata.mp4", "ok", 4, "many tags"),
    RealVideo("androidx_media/mp4_sample_with_vobsub.mp4", "ok", 4, "DVD subtitles, 612 frames a second"),
    RealVideo("androidx_media/mp4_silent-black-10s.mp4", "ok", 8, "nothing but black"),
    RealVideo("androidx_media/mp4_testvid_1022ms.mp4", "ok", 4),
    RealVideo("androidx_media/ts_sample_ac4.ts", SOUND_ONLY, about="AC-4, which nobody decodes"),
    RealVideo("androidx_media/ts_sample_h262_mpeg_audio.ts", "ok", 3, "MPEG-2, 3 frames"),
    RealVideo("androidx_media/ts_sample_h265.ts", "ok", 4, "HEVC in a transport stream"),
    RealVideo("androidx_media/vp9_bear-vp9-odd-dimensions.webm", "ok", 4, "161x121"),
    RealVideo("androidx_media/vp9_bear-vp9.webm", "ok", 4),
    RealVideo("androidx_media/vp9_invalid-bitstream.webm", NO_FRAME, about="no frame is whole"),
    RealVideo("androidx_media/vp9_roadtrip-vp92-10bit.webm", "ok", 4, "10 bit"),
    RealVideo("clip-video-encode/vid1.mp4", "ok", 4, "edit list hides frames"),
    RealVideo("clip-video-encode/vid2.mp4", "ok", 4, "edit list hides frames"),
    RealVideo("decord/video_0.mov", "ok", 3, "3 frames"),
    RealVideo("decord/video_270.mov", "ok", 3, "3 frames, rotated"),
    RealVideo("decord/video_90.mov", "ok", 3, "3 frames, rotated"),
    RealVideo("intel_sample_videos/bottle-detection.mp4", "ok", 5, "5 keyframes in 40 s"),
    RealVideo("intel_sample_videos/people-detection.gif", "ok", 8, "GIF"),
    RealVideo("magika/mitra_wav_riff.wav", SOUND_ONLY),
    RealVideo("magika/mitra_webm_webm.webm", "ok", 4, "17x7, RGB planes"),
    RealVideo("moviepy/big_buck_bunny_0_30.webm", "ok", 4, "VP8, black start"),
    RealVideo("moviepy/pigs_in_a_polka.gif", "ok", 8, "GIF"),
    RealVideo("moviepy/result.webm", "empty-file: the file is empty"),
    RealVideo("moviepy/transparent.webm", "ok", 8, "transparent, uniform frames"),
    RealVideo("moviepy/video_with_failing_audio.mp4", "ok", 4, "odd sound"),
    RealVideo("small/FlashVideo.flv", "damaged: its header cannot be read", about="no frame in it"),
    RealVideo("small/WindowsMediaVideo.wmv", NO_FRAME, about="no frame in it"),
    RealVideo("small/gif-transparent.gif", STILL),
    RealVideo("small/gif.gif", NO_FRAME, about="14 bytes"),
    RealVideo("small/mp4-with-audio.mp4", SOUND_ONLY),
    RealVideo("threatexchange/test-padded-dimensions.mp4", "ok", 4, "one keyframe"),
    RealVideo("torchcodec/h265_10bits.mp4", "ok", 4, "HEVC, 10 bit"),
)


def table() -> str:
    """The table of outcomes, in Markdown."""
    rows = []
    for video in REAL_VIDEOS:
        outcome = f"{video.frame_count} frames" if video.outcome == "ok" else video.outcome
        rows.append(f"| `{video.path}` | {video.about} | {outcome} |")
    return "\n".join(["| file | what is odd | outcome |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(table())  # noqa: T201
