#!/usr/bin/env bash
# User data of a spot instance on AWS (Debian or Ubuntu). It runs at the first boot;
# after that, what it has installed starts the search at each boot.
#
# Before: put this directory into a repository of yours, with your search.py and
# requirements.txt, make a volume in the zone of the instance
#
#     aws ec2 create-volume --availability-zone ZONE --size 10
#
# and name both here. Then, once:
#
#     aws ec2 run-instances --image-id IMAGE --instance-type TYPE \
#         --placement AvailabilityZone=ZONE \
#         --instance-market-options '{"MarketType": "spot", "SpotOptions":
#             {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}}' \
#         --user-data file://aws_user_data.sh
#     aws ec2 attach-volume --volume-id VOLUME --instance-id INSTANCE --device /dev/sdf
set -euo pipefail

repository=${REPOSITORY:-https://github.com/you/your-search.git}
volume=${VOLUME:-vol-0123456789abcdef0}
disk=${DISK:-/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${volume/-/}}
project=${DESTDIR:-}/opt/search
units=${DESTDIR:-}/etc/systemd/system

if [ ! -d "$project" ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y curl git python3-venv
    # Moved when it is whole: this machine may be taken away right now.
    rm -rf "$project.new"
    git clone -q --depth 1 "$repository" "$project.new"
    mv "$project.new" "$project"
fi

# Two minutes are announced: folds get more time to finish than the unit gives them.
mkdir -p "$units/resumable-search.service.d"
cp "$project/aws-grace-period.conf" "$units/resumable-search.service.d/"
cp "$project/aws-spot-notice.service" "$units/"
"$project/set_up_machine.sh" "$disk"
systemctl enable aws-spot-notice
systemctl start --no-block aws-spot-notice
