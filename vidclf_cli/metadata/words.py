"""Words in file and folder names that say nothing about what a video shows."""

from __future__ import annotations

# What release groups and re-encoders append; two or more of them start a tail that is cut off.
_RELEASE_WORDS = """
480i 480p 540p 576i 576p 720i 720p 1080i 1080p 1440p 2160p 4320p uhd fhd qhd hdr hdr10 hdr10plus sdr dovi
hlg bluray bdrip brrip bdremux remux web webrip webdl hdtv hdtvrip pdtv dsr dvdrip dvdscr dvd5 dvd9 hddvd
hdrip camrip hdcam telesync telecine ppvrip vhsrip tvrip satrip x264 x265 h264 h265 h266 avc hevc xvid divx
av1 vp8 vp9 mpeg2 mpeg4 vc1 8bit 10bit 12bit hi10p aac aac2 ac3 eac3 dd5 ddp ddp2 ddp5 dts dtshd truehd
atmos flac mp3 opus vorbis proper repack rerip multisub vostfr subfrench nf amzn dsnp hmax atvp yify yts
rarbg eztv ettv psa
"""

# What cameras, phones, applications and people in a hurry call a video. A name of only such words is none.
_GENERIC_WORDS = """
a an the of and or in on at to from by my our new old copy untitled unnamed unknown noname video videos vid
vids gif gifs avif ts youtube instagram facebook chrome movie movies film films clip clips footage media
mediafile file files item items img image images imag picture pictures photo photos pic pics dsc dscn dscf
dcim cimg mvi mov mp4 m4v avi mkv webm mpg gopr gopro gh gx gp pxl sam dji mah rpreplay io com www net
camera cam camcorder webcam roll burst slowmo timelapse hyperlapse screen recording recordings record rec
screencast screenrecord screenrecorder screencapture capture captures screenshot recorder whatsapp telegram
signal snapchat viber wechat line messenger received sent wa fb tiktok snaptik ssstik download downloads
downloaded upload uploads uploaded shared share inbox outbox attachments attachment final finished result
results edit edited edits export exports exported render renders rendered output outputs out draft master
raw original originals source src temp tmp cache misc miscellaneous other others various stuff backup
backups archive sample samples example examples demo test tests testing tst part parts pt version ver vol
volume disc disk cd dvd season series episode episodes ep eps staffel saison track tracks title titles
chapter sequence seq project scene take stream streams live trim trimmed compressed converted resized
reduced small large big low high quality hq hd sd full official fullhd uhd 2k 4k 5k 8k 30fps 60fps 24fps
25fps 50fps 120fps fps am pm jan feb mar apr may jun jul aug sep sept oct nov dec mp ver1 v0 v1 v2 v3 v4
new_folder folder folders directory dir data dataset datasets desktop documents document home user users
public private avchd bdmv video_ts audio_ts m4root mp_root library libraries collection content contents
assets without no silent mute muted nosound audio sound
"""

# Splits of data sets and stages of work: of a folder they say nothing, of a file they may.
_FOLDER_WORDS = """
train training val valid validation eval all done todo incoming complete completed extra extras 1080 720
tv show shows serie series programmes programs
"""

RELEASE_WORDS = frozenset(_RELEASE_WORDS.split())
GENERIC_WORDS = frozenset(_GENERIC_WORDS.split())
GENERIC_FOLDER_WORDS = GENERIC_WORDS | frozenset(_FOLDER_WORDS.split())
