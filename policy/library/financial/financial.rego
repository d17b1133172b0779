# Money: an amount within the subject's limit, two people for one payment, and
# cardholder data only where it is admitted. Its page has the rules.
package kest.library.financial

default allow := false

allow if {
	within_limit
	admitted
	separated
}

separate_from := object.get(input.object.attributes, "separate_from", null)

# The amount lies within the limit.
within_limit if {
	amount := money(input.object.attributes.amount)
	amount >= 0
	amount <= money(input.subject.attributes.limit)
}

money(n) := n if {
	is_number(n)
	n == floor(n)
	abs(n) <= 9007199254740992
}

# Data that flowed in are admitted here.
admitted if {
	kinds := listed(input.subject.labels, "data")
	count(kinds - listed(input.object.attributes, "admits")) == 0
}

# The other step was done, always for a known user, and never for this one.
separated if separate_from == null

separated if {
	input.subject.user != null
	separate_from in input.lineage.operations
	every act in input.lineage.acts { apart(act) }
}

apart(act) if act.operation != separate_from

apart(act) if not act.user in {null, input.subject.user}

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
