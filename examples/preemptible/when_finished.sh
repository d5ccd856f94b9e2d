#!/usr/bin/env bash
# Called by systemd each time that the script has ended: switches the machine off,
# but only if the search is finished.
#
#     when_finished.sh DIRECTORY
#
# "finished" in DIRECTORY then says that it is not to be started again: somebody who
# switches the machine on to fetch the results has it for that.
set -eu

# Set by systemd: how the main process ended.
[ "${EXIT_CODE:-}:${EXIT_STATUS:-}" = exited:0 ] || exit 0

touch "$1/finished"
systemctl --no-block poweroff
