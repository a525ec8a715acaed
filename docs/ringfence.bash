# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of ringfence's command line in bash. What there is to say it asks the program itself:
# -help for the options and the form of their arguments, "help" as an argument for names.

# Lines "-NAME FORM" of -help.
_ringfence_options() {
	"$1" -help 2>/dev/null </dev/null | grep '^-'
}

# The names that "-OPTION help" lists: the first words of its lines, from the second line to what is
# about something else.
_ringfence_names() {
	"$1" "-$2" help 2>/dev/null </dev/null |
		sed -n '1d; /^$/q; /^Properties/q; s/^\([A-Za-z0-9_.-]*:\{0,1\}\).*/\1/p'
}

_ringfence() {
	local program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]}
	local option=${COMP_WORDS[COMP_CWORD - 1]} form words='' before=''

	COMPREPLY=()
	if [[ $cur == -* ]]; then
		words=$(_ringfence_options "$program" | sed 's/ .*//')
		[[ $cur == --* ]] && words=$(printf '%s\n' "$words" | sed 's/^/-/')
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return
	fi
	[[ $COMP_CWORD -gt 1 && $option == -* ]] || return
	option=${option#-}
	option=${option#-}
	case $option in
	accel | cpu | device | M | machine | serial | monitor | debugcon | gdb | d)
		[[ $option == d && $cur == *,* ]] && before=${cur%,*},
		[[ $option == monitor || $option == debugcon || $option == gdb ]] && option=serial
		words="$(_ringfence_names "$program" "$option") help"
		;;
	*)
		form=$(_ringfence_options "$program" | sed -n "s/^-$option //p")
		# words to choose from, as in "none"; a FILE is bash's to complete
		[[ $form != *[A-Z\[]* ]] && words=${form//|/ }
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "${cur#"$before"}")
}

complete -o bashdefault -o default -F _ringfence ringfence
