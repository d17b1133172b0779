# Clark and Wilson (1987): data change only by certified procedures, run by those
# who were granted them, with duties kept apart. Its page has the rules.
package kest.library.clark_wilson

default allow := false

allow if {
	granted
	independent
	accepts_udi in {null, true, false}
	constrained
	separated
}

triple := input.object.attributes.triple

accepts_udi := object.get(input.object.attributes, "accepts_udi", null)

separate_from := object.get(input.object.attributes, "separate_from", null)

# E2: the subject may run this procedure on this item.
granted if {
	is_string(triple)
	contains(triple, ":")
	triple in elements(input.subject.attributes.triples)
}

# E4: whoever certifies it doesn't run it.
independent if count(listed(input.subject.attributes, "certifies") & {triple}) == 0

# C5: unconstrained input goes only into procedures that were certified for it.
constrained if not "udi" in input.subject.taints

constrained if accepts_udi == true

# C3: the other step was done, always for a known user, and never for this one.
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
