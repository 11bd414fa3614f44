#!/bin/sh
# A worker that asks for its tasks, with sh and curl alone: counts the words of input_data.text (docs/REMOTE-WORKERS.md).
#   tasklane up --worker-listen 127.0.0.1:8090 --remote-service text/words
#   sh examples/remote-worker/words.sh http://127.0.0.1:8090
# With a token: WORDS_TOKEN=… before sh, and ;token=env:WORDS_TOKEN after text/words.
at=$1/v1/worker
heads=$(mktemp) && token=$(mktemp) && trap 'rm -f "$heads" "$token"' EXIT
printf 'Authorization: Bearer %s\n' "${WORDS_TOKEN:-none}" >"$token" # arguments can be seen by everybody
ask() { curl --silent --fail-with-body --max-time 70 --header @"$token" "$@"; }

ready='{"type":"ready","protocol":1,"tasks":{"count_words":{"description":"Counts words.","input":{"type":"object",
"required":["text"],"properties":{"text":{"type":"string"}}}}}}'

until ask "$at/ready" --data "$ready"; do sleep 1; done
while :; do
	# Nothing for 30 s is an answer too. Without an answer the processor may have been started again: it is told anew.
	if ! task=$(ask "$at/next?worker=words-$$" --dump-header "$heads"); then
		sleep 1
		ask "$at/ready" --data "$ready"
		continue
	fi
	[ -n "$task" ] || continue
	id=$(tr -d '\r' <"$heads" | sed -n 's/^[Tt]asklane-[Aa]ttempt: //p')

	# The text has no quotes of its own, which is enough for an example.
	text=${task#*'"text":"'}
	text=${text%%'"'*}
	# shellcheck disable=SC2086 # it is to be split into words
	set -f -- $text
	case $(ask "$at/$id/progress" --data '{"percent":50}') in
	*'"type":"cancel"'*) ask "$at/$id/cancelled" --data '{}' && continue ;;
	esac
	ask "$at/$id/result" --data '{"result":{"words":'"$#"'}}'
done
