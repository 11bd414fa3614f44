#!/bin/sh
# A service in plain sh: counts the words of input_data.text. The protocol is in docs/SUBPROCESS.md.
#   tasklane up --subprocess 'text/words=sh examples/subprocess-shell/words.sh'
say() { printf '%s\n' "$1" >&4; }

say '{"type":"ready","protocol":1,"max_inflight":1,"tasks":{"count_words":{"description":"Counts words.","input":{"type":"object","required":["text"],"properties":{"text":{"type":"string"}}}}}}'
while IFS= read -r line <&3; do
	case $line in
	'{"type":"task"'*)
		# The id comes first in the message; the text has no quotes of its own after this, which is enough for an example.
		id=${line#*'"id":"'}
		id=${id%%'"'*}
		text=${line#*'"text":"'}
		text=${text%%'"'*}
		set -f # no file names
		# shellcheck disable=SC2086 # it is to be split into words
		set -- $text
		say '{"type":"progress","id":"'"$id"'","percent":50}'
		say '{"type":"result","id":"'"$id"'","result":{"words":'"$#"'}}'
		;;
	'{"type":"ping"'*) say '{"type":"pong"}' ;;
	'{"type":"shutdown"'*) exit 0 ;;
	esac
done
