# Helpers over input.lineage, which holds what was verified. A module uses them
# by `import data.kest.lineage`.
package kest.lineage

# came_through holds for a principal that signed one of the entries.
came_through(principal) if principal in input.lineage.principals

# called_by holds for the principal of one of the parents.
called_by(principal) if principal in input.lineage.callers

# rooted_at holds for the principal of one of the roots.
rooted_at(principal) if principal in input.lineage.roots

# has_origin holds for the source type of one of the roots.
has_origin(origin) if origin in input.lineage.origins

# only_origins holds when every root has one of these source types, and there is a root.
only_origins(allowed) if {
	count(input.lineage.origins) > 0
	every origin in input.lineage.origins { origin in allowed }
}

# tainted_by holds for the principal that first added a taint.
tainted_by(taint, principal) if input.lineage.taint_sources[taint] == principal

# did holds for an operation that was done for a user.
did(operation, user) if {
	some act in input.lineage.acts
	act.operation == operation
	act.user == user
}

# users_of are the users for whom an operation was done; null is nobody.
users_of(operation) := {act.user | some act in input.lineage.acts; act.operation == operation}

# separate_duty holds when the operation was done, always for a user that is
# known, and never for this one.
separate_duty(operation, user) if {
	user != null
	users := users_of(operation)
	count(users) > 0
	not null in users
	not user in users
}
