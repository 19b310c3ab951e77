#!/bin/bash
# update.sh HOST PORT FOLDER: bring FOLDER up to date with the files that
# server.sh offers. A file is fetched when it is missing here or its check sum
# differs, is checked again, and replaces the old one in one step. Nothing is
# ever removed. Exit status: 0 all is up to date, 1 something is not.
# bash, because it opens network connections itself (/dev/tcp); else the usual tools.

export LC_ALL=C
[ $# = 3 ] || { echo "usage: update.sh HOST PORT FOLDER" >&2; exit 2; }
die() { echo "update.sh: $*" >&2; exit 1; }
cd -- "$3" || exit 1
here=$(pwd -P)
exec 3<> "/dev/tcp/$1/$2" || die "no connection to $1 port $2"
trap 'rm -f -- "$new"' EXIT
trap 'exit 1' HUP INT TERM

line() {                      # the next line of the server, into $line
    IFS= read -r -t 60 -n 4096 -u 3 line || die "the server hung up"
    [ ${#line} -lt 4096 ] || die "the server sends a line without end"
}
ask() {                       # ask REQUEST: the rest of the OK line, into $answer
    printf '%s\n' "$1" >&3
    line
    case $line in OK) answer= ;; OK\ *) answer=${line#OK } ;; *) bad "the server says ${line@Q}"; return 1 ;; esac
}
sum() { sha256sum < "$1" | cut -c 1-64; }
bad() { printf 'update.sh: %q: %s\n' "$name" "$*" >&2; failed=1; }

updated=0 failed=0 new= name=LIST names=()
ask LIST || exit 1
while line; [ "$line" != . ]; do
    names+=("$line")
    [ ${#names[@]} -lt 1000000 ] || die "the list does not end"
done

for name in "${names[@]}"; do
    # the server is not trusted with places outside of FOLDER either
    case /$name/ in *//* | */../* | */./* | *[[:cntrl:]]*) bad "the server offers a bad name"; continue ;; esac
    ask "SUM $name" && want=$answer || continue
    [ -f "$name" ] && [ "$(sum "$name")" = "$want" ] && continue
    dir=$(dirname -- "./$name")
    case $(realpath -m -- "$dir")/ in "${here%/}"/*) ;; *) bad "a link here leads outside"; continue ;; esac
    mkdir -p -- "$dir" || { failed=1; continue; }
    ask "FETCH $name" && size=$answer || continue
    [[ $size =~ ^[0-9]{1,15}$ ]] || die "the server sends a size that is none"
    new=$(mktemp -- "$dir/.update.XXXXXX") || exit 1
    timeout 600 head -c "$size" <&3 > "$new"
    [ "$(stat -c %s -- "$new")" = "$size" ] || die "$name: the connection broke"
    if [ "$(sum "$new")" != "$want" ]; then
        bad "the check sum is wrong, the old file stays"
        rm -f -- "$new"
    elif chmod 644 -- "$new" && mv -fT -- "$new" "$name"; then
        updated=$((updated + 1))
        printf 'updated %q\n' "$name"
    else
        bad "it cannot be replaced"
        rm -f -- "$new"
    fi
    new=
done
ask QUIT
echo "${#names[@]} files, $updated updated"
exit $failed
