#!/usr/bin/env bash
# Prepares a machine for the search in this directory (/opt/search) and starts it:
#
#     set_up_machine.sh DISK
#
# DISK is a block device that outlives the machine. It is formatted if it is empty, and
# mounted on /mnt/search. May be run again, at each boot too. DESTDIR is put before
# the places of files, to try it.
set -euo pipefail

disk=$1
root=${DESTDIR:-}
project=$root/opt/search
keep=$root/mnt/search
units=$root/etc/systemd/system

# A disk may be attached a little after the boot.
for _ in $(seq 60); do
    [ ! -e "$disk" ] || break
    sleep 5
done

# Status 2 says that nothing at all was found on it. Whatever else it says is no
# reason to format a disk that may hold days of work.
probed=0
blkid -p "$disk" >/dev/null || probed=$?
case $probed in
    0) ;;
    2) mkfs.ext4 -q "$disk" ;;
    *)
        echo "set_up_machine: cannot tell what is on $disk (blkid: $probed)" >&2
        exit 1
        ;;
esac

mkdir -p "$keep"
# nofail: a machine without its disk still comes up, and the unit says what is missing.
if ! grep -qsF " $keep " "$root/etc/fstab"; then
    echo "$disk $keep ext4 defaults,nofail 0 2" >>"$root/etc/fstab"
fi
mountpoint -q "$keep" || mount "$keep"

id search >/dev/null 2>&1 ||
    useradd --system --home-dir /opt/search --shell /usr/sbin/nologin search
chown search: "$keep"

python3 -m venv "$project/venv"
"$project/venv/bin/pip" install -q -r "$project/requirements.txt"

mkdir -p "$units/resumable-search.service.d"
cp "$project/resumable-search.service" "$units/"
cp "$project/power-off-when-finished.conf" "$units/resumable-search.service.d/"
systemctl daemon-reload
systemctl enable resumable-search
# Whoever runs this during the boot must not wait for what comes after the boot.
systemctl start --no-block resumable-search
