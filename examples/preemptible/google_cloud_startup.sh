#!/usr/bin/env bash
# Start-up script of a spot VM on Google Cloud (Debian or Ubuntu). It runs at each boot.
#
# Before: put this directory into a repository of yours, with your search.py and
# requirements.txt, and name it here. Then, once:
#
#     gcloud compute disks create search --size=10GB --zone=ZONE
#     gcloud compute instances create search --zone=ZONE \
#         --provisioning-model=SPOT --instance-termination-action=STOP \
#         --disk=name=search,device-name=search,auto-delete=no \
#         --metadata-from-file=startup-script=google_cloud_startup.sh
#
# and after the VM was taken away: gcloud compute instances start search --zone=ZONE
set -euo pipefail

repository=${REPOSITORY:-https://github.com/you/your-search.git}
disk=${DISK:-/dev/disk/by-id/google-search}
project=${DESTDIR:-}/opt/search

if [ ! -d "$project" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y git python3-venv
    # Moved when it is whole: this machine may be taken away right now.
    rm -rf "$project.new"
    git clone -q --depth 1 "$repository" "$project.new"
    mv "$project.new" "$project"
fi
exec "$project/set_up_machine.sh" "$disk"
