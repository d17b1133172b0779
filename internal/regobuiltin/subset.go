package regobuiltin

// objectSubset: objects by their members, at every depth; sets by their elements;
// an array where it stands in a row in another; a set in an array.
func objectSubset(c *call) *Value {
	super, sub := c.args[0], c.args[1]
	if super.kind == array && sub.kind == set {
		return boolValue(arrayHas(super, sub))
	}
	if super.kind != sub.kind || super.kind < array {
		return c.fail()
	}
	return boolValue(c.hasSubset(super, sub))
}

// hasSubset is for two of one kind, and equality for those that hold nothing.
func (c *call) hasSubset(super, sub *Value) bool {
	switch {
	case super.kind != sub.kind || super.kind < array:
		return compare(super, sub) == 0
	case super.kind == array:
		return c.hasRow(super.items, sub.items)
	}
	for i, item := range sub.items {
		at, ok := super.find(sub.keyAt(i))
		if !ok || sub.kind == object && !c.hasSubset(super.items[at], item) {
			return false
		}
	}
	return true
}

// hasRow reports whether row stands in list, its elements one behind the other.
func (c *call) hasRow(list, row []*Value) bool {
	for start := 0; start+len(row) <= len(list) && c.spend(1); start++ {
		n := 0
		for n < len(row) && c.spend(1) && compare(list[start+n], row[n]) == 0 {
			n++
		}
		if n == len(row) {
			return true
		}
	}
	return false
}

// arrayHas counts, as OPA does, an element of the array as often as it stands
// there; no array without elements has a set in it.
func arrayHas(list, sub *Value) bool {
	missing := len(sub.items)
	for _, item := range list.items {
		if _, ok := sub.find(item); ok {
			missing--
		}
		if missing == 0 {
			return true
		}
	}
	return false
}
