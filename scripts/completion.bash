# SPDX-License-Identifier: Apache-2.0
# bash completion for flyball. Commands and options are read from its own --help.
_flyball() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} i verbs
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "--help --version $("$1" --help | awk '/^  [a-z]+ /{print $1}')" -- "$word")
        return
    fi
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then # the program that is governed completes itself
            if declare -F _command_offset >/dev/null; then
                _command_offset $((i + 1))
            else
                mapfile -t COMPREPLY < <(compgen -cf -- "$word")
            fi
            return
        fi
    done
    case $before in
    --run) mapfile -t COMPREPLY < <(compgen -W "$("$1" runs --json 2>/dev/null | sed -n 's/.*"run_id": *"\([^"]*\)".*/\1/p')" -- "$word") ;;
    --on-exhausted) mapfile -t COMPREPLY < <(compgen -W "deny terminate pause" -- "$word") ;;
    --limits) mapfile -t COMPREPLY < <(compgen -W "conservative balanced extended" -- "$word") ;;
    --what) mapfile -t COMPREPLY < <(compgen -W "calls ledger decisions events receipts" -- "$word") ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "jsonl csv focus" -- "$word") ;;
    --require) mapfile -t COMPREPLY < <(compgen -W "metered" -- "$word") ;;
    --to) mapfile -t COMPREPLY < <(compgen -W "T0 T1 T2 T3 T4" -- "$word") ;;
    --policy) mapfile -t COMPREPLY < <(compgen -W "$("$1" policy show --json 2>/dev/null | sed -n 's/^{"policy": *"\([^"]*\)".*/\1/p')" -- "$word") ;;
    --kind) mapfile -t COMPREPLY < <(compgen -W "admission settlement" -- "$word") ;;
    --provider) mapfile -t COMPREPLY < <(compgen -W "$("$1" prices list 2>/dev/null | awk -F'\t' 'NR > 1 {print $1}' | sort -u)" -- "$word") ;;
    --config | --summary | --output | --prices | --task) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    *)
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "-- $("$1" "${COMP_WORDS[1]}" --help 2>/dev/null | grep -oE '^  --[a-z-]+' | tr -d ' ')" -- "$word")
        elif [[ ${COMP_WORDS[1]} == approve || ${COMP_WORDS[1]} == deny ]] && ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W "$("$1" approvals --json 2>/dev/null | sed -n 's/.*"checkpoint_id": *"\([^"]*\)".*/\1/p')" -- "$word")
        elif [[ ${COMP_WORDS[1]} == extend || ${COMP_WORDS[1]} == pause || ${COMP_WORDS[1]} == resume ]] && ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W "$("$1" runs --json 2>/dev/null | sed -n 's/.*"run_id": *"\([^"]*\)".*/\1/p')" -- "$word")
        elif ((COMP_CWORD == 2)) && verbs=$("$1" "${COMP_WORDS[1]}" --help 2>/dev/null | sed -nE "s/^(usage:|      ) flyball ${COMP_WORDS[1]} ([a-z]+).*/\2/p") && [[ -n $verbs ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
        elif [[ ${COMP_WORDS[1]} == profile ]]; then
            mapfile -t COMPREPLY < <(compgen -W "performance balanced economy auto" -- "$word")
        elif [[ ${COMP_WORDS[1]} == cooldown ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$("$1" prices list 2>/dev/null | awk -F'\t' 'NR > 1 {print $1}' | sort -u)" -- "$word")
        elif [[ ${COMP_WORDS[1]} == prices && $before == show ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$("$1" prices list 2>/dev/null | awk -F'\t' 'NR > 1 {print $2}' | sort -u)" -- "$word")
        elif [[ ${COMP_WORDS[1]} == backup || ${COMP_WORDS[1]} == restore ]]; then
            mapfile -t COMPREPLY < <(compgen -d -- "$word")
        elif [[ ${COMP_WORDS[1]} =~ ^(prices|receipt|meter|estimate|policy|registry)$ ]]; then
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        ;;
    esac
}
complete -F _flyball flyball
