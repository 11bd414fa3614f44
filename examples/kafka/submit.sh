#!/usr/bin/env bash
# Puts one task on the lane fast and prints its id once the broker has it. kcat
# takes the key up to the tab, and murmur2 is how the API chooses the partition.
set -euo pipefail
id="kcat-$(date +%s%N)"
printf 'alice\t{"task_id":"%s","user_id":"alice","task_name":"detect_language","mode":"chat","service":"text_analyzer","input_data":{"text":"Bonjour tout le monde, le colis est arrivé."}}\n' "$id" |
  kcat -P -b 127.0.0.1:9092 -t tasks.fast -K '\t' -X acks=all -X topic.partitioner=murmur2_random
echo "$id"
