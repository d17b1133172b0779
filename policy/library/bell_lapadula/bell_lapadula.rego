# Bell and LaPadula (1976): nobody reads from above their clearance, and what
# has flowed in isn't written below its own level. Its page has the rules.
package kest.library.bell_lapadula

default allow := false

allow if {
	access in {"read", "append", "write"}
	current_level
	simple_security
	star_property
}

rank := {"unclassified": 0, "confidential": 1, "secret": 2, "top_secret": 3}

access := input.object.attributes.access

clearance := rank[input.subject.attributes.clearance]

cleared := elements(input.subject.attributes.categories)

level := rank[input.object.attributes.level]

categories := elements(input.object.attributes.categories)

# The mark of what flowed in.
marks := listed(input.subject.labels, "level")

compartments := listed(input.subject.labels, "category")

# The clearance dominates the mark.
current_level if {
	clearance >= 0
	every mark in marks { rank[mark] <= clearance }
	count(compartments - cleared) == 0
}

# To read and to write, the clearance dominates the object.
simple_security if access == "append"

simple_security if {
	level <= clearance
	count(categories - cleared) == 0
}

# To append and to write, the object dominates the mark.
star_property if access == "read"

star_property if {
	level >= 0
	every mark in marks { rank[mark] <= level }
	count(compartments - categories) == 0
}

# listed is a list that may be left out.
listed(attributes, name) := set() if object.get(attributes, name, null) == null

listed(attributes, name) := elements(attributes[name])

# elements are a list's as Cedar can hold them: nulls left out, and no numbers
# but whole ones that a double holds exactly.
elements(list) := {e | some e in list; e != null} if {
	is_array(list)
	every n in [x | walk(list, [_, x]); is_number(x)] {
		n == floor(n)
		abs(n) <= 9007199254740992
	}
}
