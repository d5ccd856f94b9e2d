#!/usr/bin/env bash
# Waits for EC2's notice that this spot instance is taken away, then stops the search,
# so that its folds have most of the two minutes to finish. It goes on at the next boot.
set -u

metadata=${METADATA:-http://169.254.169.254/latest}

is_announced() {
    local token
    token=$(curl -sf -m 2 -X PUT "$metadata/api/token" \
        -H "X-aws-ec2-metadata-token-ttl-seconds: 60") || return
    # There is no such page (404) until there is a notice.
    curl -sf -m 2 -o /dev/null "$metadata/meta-data/spot/instance-action" \
        -H "X-aws-ec2-metadata-token: $token"
}

until is_announced; do
    sleep 5
done
echo "This instance is taken away: the search is stopped."
systemctl stop resumable-search
