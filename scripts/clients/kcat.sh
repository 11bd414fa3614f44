#!/usr/bin/env bash
# Puts tasks on a lane with kcat, keyed by user_id.
#
#   kcat.sh BROKERS TOPIC COUNT USER_PREFIX
#
# Prints one line "task_id user_id" a task once kcat has delivered them all.
set -euo pipefail

if [ $# -ne 4 ]; then
  sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
brokers=$1 topic=$2 count=$3 prefix=$4

new_id() {
  if [ -r /proc/sys/kernel/random/uuid ]; then cat /proc/sys/kernel/random/uuid; else uuidgen; fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for ((n = 0; n < count; n++)); do
  user="$prefix-$((n % 4))" id="kcat-$(new_id)"
  echo "$id $user" >>"$work/ids"
  printf '%s\t{"task_id":"%s","user_id":"%s","task_name":"detect_language","mode":"chat","service":"text_analyzer","input_data":{"text":"The parcel came a day early and everything works."}}\n' \
    "$user" "$id" "$user" >>"$work/tasks"
done
touch "$work/ids" "$work/tasks"

# -K splits key and value at the tab, which JSON never contains unescaped.
kcat -P -b "$brokers" -t "$topic" -K $'\t' -X acks=all -X message.timeout.ms=60000 -l "$work/tasks"
cat "$work/ids"
