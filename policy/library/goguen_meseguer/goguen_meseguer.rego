# Goguen and Meseguer (1982), noninterference: what some domains did has no
# effect on what is done here. Its page has the rules.
package kest.library.goguen_meseguer

default allow := false

allow if {
	is_string(domain)
	count(not_from & {domain}) == 0
	count(not_from & listed(input.subject.labels, "domain")) == 0
}

domain := input.object.attributes.domain

not_from := elements(input.object.attributes.not_from)

# listed is a list that may be left out.
listed(attributes, name) := set() if object.get(attributes, name, null) == null

listed(attributes, name) := elements(attributes[name])

# elements are a list's as Cedar can hold them: no numbers but whole ones that a
# double holds exactly.
elements(list) := {e | some e in list} if {
	is_array(list)
	every n in [x | walk(list, [_, x]); is_number(x)] {
		n == floor(n)
		abs(n) <= 9007199254740992
	}
}
