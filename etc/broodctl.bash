# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Completion of broodctl(8) for bash. Commands, options and levels come from
# the programs' own tables, pools from the running service: nothing is listed
# here.

# _broodctl_rows OPTION COLUMN: a column of one of broodctl's tables
_broodctl_rows() {
	"${COMP_WORDS[0]}" "$1" 2>/dev/null | cut -f "$2"
}

# _broodctl_argument WORD: what can stand for WORD of a command's arguments
_broodctl_argument() {
	case $1 in
	POOL)
		"${COMP_WORDS[0]}" "${where[@]}" --json --timeout 1 status \
		    2>/dev/null | grep -o '"pools":\[[^]]*' |
			grep -o '"role":"[a-z0-9_-]*"' | cut -d '"' -f 4
		;;
	*QUEUE*)
		"${COMP_WORDS[0]}" "${where[@]}" --json --timeout 1 queues \
		    2>/dev/null | grep -o '"queues":\[[^]]*' |
			grep -o '"name":"[^"]*"' | cut -d '"' -f 4
		[ "$command" != purge ] || echo outbox
		;;
	ID*all)
		"${COMP_WORDS[0]}" "${where[@]}" --json --timeout 2 dead \
		    2>/dev/null | grep -oE '"(name":"[^"]*/|id":")[^"]*"' |
			cut -d '"' -f 4
		echo all
		;;
	LEVEL)
		"${COMP_WORDS[0]%broodctl}broodd" -K 2>/dev/null | awk -F '\t' \
		    '$1 == "log.level" { gsub(/\|/, "\n", $6); print $6 }'
		;;
	*)
		# "N|auto": the words that stand for themselves
		tr '|' '\n' <<<"$1" | grep -x '[a-z][a-z-]*'
		;;
	esac
}

_broodctl() {
	local word=${COMP_WORDS[COMP_CWORD]} i=1 command='' option takes
	local -a where=() arguments=()
	COMPREPLY=()

	# What stands before the word: options, the command, its arguments.
	while [ "$i" -lt "$COMP_CWORD" ]; do
		option=${COMP_WORDS[i]}
		case $option in
		-*)
			takes=$("${COMP_WORDS[0]}" --options 2>/dev/null |
				awk -F '\t' -v o="$option" \
				    '$1 == o || $2 == o { print $3 }')
			if [ -n "$takes" ]; then
				i=$((i + 1))
				if [ "$i" -eq "$COMP_CWORD" ]; then
					case $takes in
					CONFIG | SOCKET)
						compopt -o filenames
						mapfile -t COMPREPLY < <(
							compgen -f -- "$word"
						)
						;;
					esac
					return
				fi
				case $takes in
				CONFIG | SOCKET)
					where=("$option" "${COMP_WORDS[i]}")
					;;
				esac
			fi
			;;
		*)
			if [ -z "$command" ]; then
				command=$option
			else
				arguments+=("$option")
			fi
			;;
		esac
		i=$((i + 1))
	done

	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W \
		    "$(_broodctl_rows --options 1,2)" -- "$word")
	elif [ -z "$command" ]; then
		mapfile -t COMPREPLY < <(compgen -W \
		    "$(_broodctl_rows --commands 1)" -- "$word")
	else
		option=$("${COMP_WORDS[0]}" --commands 2>/dev/null |
			awk -F '\t' -v c="$command" \
			    -v n="$((${#arguments[@]} + 1))" \
			    '$1 == c { split($2, a, " "); print a[n] }')
		[ -n "$option" ] || return
		mapfile -t COMPREPLY < <(compgen -W \
		    "$(_broodctl_argument "$option")" -- "$word")
	fi
}

complete -F _broodctl broodctl
