# Brewer and Nash (1989), the Chinese wall: what has touched one dataset of a
# conflict class stays away from the others. Its page has the rules.
package kest.library.brewer_nash

default allow := false

allow if {
	is_string(dataset)
	count(conflicts & {dataset}) == 0
	sanitized in {null, true, false}
	permitted
}

access := input.object.attributes.access

dataset := input.object.attributes.dataset

conflicts := elements(input.object.attributes.conflicts)

sanitized := object.get(input.object.attributes, "sanitized", null)

# The datasets of which something unsanitized flowed in.
touched := listed(input.subject.labels, "dataset")

# Simple security: no other dataset of the class was touched, or what is read is sanitized.
permitted if {
	access == "read"
	count(conflicts & touched) == 0
}

permitted if {
	access == "read"
	sanitized == true
}

# *-property: nothing unsanitized of any other dataset flowed in. What is
# sanitized takes nothing unsanitized at all.
permitted if {
	access == "write"
	count(touched) == 0
}

permitted if {
	access == "write"
	sanitized != true
	count(touched - {dataset}) == 0
}

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
