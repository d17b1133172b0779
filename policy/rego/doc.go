// Package rego decides by Rego in process (CONTRACT 6, POLICY.md), with OPA's
// own evaluator.
//
// A policy is a package with a rule allow; its name is the package's path with
// "/". Only the boolean true allows. An error of a built-in denies, wherever it
// happens: also where OPA on its own wouldn't look, because another rule holds
// already or a later condition doesn't. The compiled form denies in two more
// places: an error behind the item on which every fails, and one in a rule that
// adds another item to a set than the one that is asked for.
//
// # Helpers over the lineage
//
// Every bundle has the package data.kest.lineage, which no folder can define or
// add to. A module says import data.kest.lineage and asks
//
//	lineage.came_through(principal)           it signed one of the entries
//	lineage.called_by(principal)              it signed one of the parents
//	lineage.rooted_at(principal)              it signed one of the roots
//	lineage.has_origin(origin)                one of the roots has this source type
//	lineage.only_origins(allowed)             there are roots, and all have one of these
//	lineage.tainted_by(taint, principal)      it was the first to add the taint
//	lineage.did(operation, user)              the operation was done for the user
//	lineage.users_of(operation)               the users for whom it was done; null is nobody
//	lineage.separate_duty(operation, user)    it was done, always for others that are known
//
// Cedar has no functions. There the same stand in the context ready to use: the
// sets lineage.principals, callers, roots, origins, operations and users for
// contains, containsAny and containsAll; the record lineage.taint_sources of
// taints, to be asked with has; the set lineage.acts of {operation, user}, an
// act of nobody being {operation} alone; and min_trust and depth.
package rego
