package regobuiltin

import "strings"

func anyPrefix(c *call) *Value { return c.anyMatch(strings.HasPrefix) }

func anySuffix(c *call) *Value { return c.anyMatch(strings.HasSuffix) }

func (c *call) anyMatch(match func(s, affix string) bool) *Value {
	list, affixes := c.strings(0), c.strings(1)
	found := false
	for _, s := range list {
		for _, affix := range affixes {
			found = found || !c.spend(1) || match(s.text, affix.text)
		}
	}
	return boolValue(found)
}

func stringsCount(c *call) *Value { return intValue(strings.Count(c.str(0), c.str(1))) }
