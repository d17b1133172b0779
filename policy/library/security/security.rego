# Zero trust: a request is worth what its lineage shows, whoever brings it.
# Its page has the rules.
package kest.library.security

default allow := false

allow if {
	trusted
	input.lineage.depth <= whole(input.object.attributes.max_depth)
	rooted
	count({"quarantine", "unverified_input"} & {taint | some taint in input.subject.taints}) == 0
	privileged in {null, true, false}
	is_set(roles)
	role_known
	entitled
}

allowed_roots := elements(input.object.attributes.allowed_roots)

privileged := object.get(input.object.attributes, "privileged", null)

role := object.get(input.object.attributes, "role", null)

roles := listed(input.subject.attributes, "roles")

# No link of the lineage is less trusted than the object wants.
trusted if {
	min_trust := whole(input.object.attributes.min_trust)
	input.subject.trust_score >= min_trust
	lineage_trusted(min_trust)
}

lineage_trusted(_) if input.environment.is_root

lineage_trusted(min_trust) if input.lineage.min_trust >= min_trust

# It began where it may. At a root this workload begins it.
rooted if {
	input.environment.is_root
	input.subject.workload in allowed_roots
}

rooted if {
	not input.environment.is_root
	count(input.lineage.roots) > 0
	count({root | some root in input.lineage.roots} - allowed_roots) == 0
}

role_known if role == null

role_known if is_string(role)

# What is privileged needs its role.
entitled if privileged != true

entitled if {
	role in roles
}

whole(n) := n if {
	is_number(n)
	n == floor(n)
	abs(n) <= 9007199254740992
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
