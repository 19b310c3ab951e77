#!/bin/sh
# server.sh FOLDER: a file and update server, to be started by inetd or usherd:
# standard input and output are the connection.
#
# One request a line, ended by LF or CR LF, at most 4096 bytes; any number of
# requests on one connection. An answer begins with a line OK... or ERR REASON.
#
#   LIST         OK, then the name of every file, a line each, then a line "."
#   SUM NAME     OK SHA256
#   FETCH NAME   OK SIZE, then that many bytes
#   QUIT         OK, and the end of the connection
#
# NAME is a path below FOLDER. Anything that would leave it is refused: "..",
# an absolute path, a symbolic link to a place outside. Names may hold any
# character but control characters; files with those are not served.
# The connection ends after a line that is too long and after a minute of silence;
# the line in inetd.conf ends it after an hour whatever happens.
# Needs: find, stat, readlink, head, dd, tr, sed, timeout, sha256sum; /proc.

LC_ALL=C; export LC_ALL
exec 2>/dev/null              # inetd gives us the connection as standard error too
max=4096 buf=
nl='
'
cr=$(printf '\r')
say() { printf '%s\n' "$1"; }
root=$(cd "$1" && pwd -P) || { say "ERR the server has no folder"; exit 1; }

# The next request, into $line. `read` would take a line of any length.
next() {
    while :; do
        case $buf in *"$nl"*) line=${buf%%"$nl"*} buf=${buf#*"$nl"}; break ;; esac
        [ ${#buf} -le $max ] || { line=$buf; break; }
        more=$(timeout 60 dd bs=$max count=1 | tr '\000' '\001'; echo .)
        [ "$more" != . ] || return 1                  # the end, or silence
        buf=$buf${more%.}
    done
    line=${line%"$cr"}
    [ ${#line} -gt $max ] || return 0
    say "ERR line too long"
    timeout 2 head -c 1000000 > /dev/null             # or a reset overtakes the answer
    return 1
}

# with COMMAND NAME: run COMMAND with the file open as 3. What was opened is
# what is checked, so a link that changes in between gains nothing.
with() {
    case $2 in '' | *[[:cntrl:]]*) say "ERR bad name"; return ;; esac
    case /$2/ in //* | */../*) say "ERR outside of the folder"; return ;; esac
    [ -f "$root/$2" ] || { say "ERR no such file"; return; }
    {
        case $(readlink /proc/self/fd/3) in
        "$root"/*) "$1" ;;
        *) say "ERR outside of the folder" ;;
        esac
    } 3<"$root/$2" || say "ERR not readable"
}

size() { stat -Lc %s /proc/self/fd/3; }
fetch() {
    n=$(size) || exit
    say "OK $n"
    head -c "$n" <&3
    [ "$(size)" -ge "$n" ] || exit                    # it shrank: the caller must not wait
}
sum() { s=$(sha256sum <&3) && say "OK ${s%% *}" || say "ERR not readable"; }
list() {
    say OK
    (cd "$root" && find . -type f ! -path '*[[:cntrl:]]*' | sed 's,^\./,,')
    say .
}

while next; do
    case $line in
    LIST) list ;;
    SUM\ *) with sum "${line#SUM }" ;;
    FETCH\ *) with fetch "${line#FETCH }" ;;
    QUIT) say OK; exit ;;
    *) say "ERR unknown request" ;;
    esac
done
