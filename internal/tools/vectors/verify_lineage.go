package main

import "strings"

// duplicateVectors: nothing stands in a passport twice.
func duplicateVectors(c *collector) {
	chain := threeHops()
	c.bad("duplicate-entry", "duplicate", 1, []string{chain[0], chain[0], chain[1]})
	c.bad("duplicate-entry-at-the-end", "duplicate", 3, append(chain[:3:3], chain[1]))
	m := &maker{}
	root := m.root(gateway, "user_input", 40)
	again := m.entry(agent, "step", 40, hash(root.sign())).set("entry_id", root.members["entry_id"])
	c.bad("duplicate-entry-id", "duplicate", 1, []string{root.sign(), again.sign()})
	twin := m.root(agent, "user_input", 40).set("entry_id", root.members["entry_id"])
	c.bad("duplicate-entry-id-of-two-roots", "duplicate", 1, []string{root.sign(), twin.sign()})
}

// graph makes entries that name their parents by index; no index is a root.
func graph(m *maker, parents ...[]int) []string {
	by := []*workload{gateway, agent, orders}
	var out []string
	for i, list := range parents {
		e := m.root(by[i%3], "user_input", 40)
		if len(list) > 0 {
			var ids []string
			for _, p := range list {
				ids = append(ids, hash(out[p]))
			}
			e = m.entry(by[i%3], "step", 40, ids...)
		}
		out = append(out, e.sign())
	}
	return out
}

// shapes are the graphs that are valid; only the first two are lines.
var shapes = []struct {
	name    string
	parents [][]int
}{
	{"root", [][]int{{}}},
	{"chain", [][]int{{}, {0}, {1}, {2}}},
	{"fan-out", [][]int{{}, {0}, {0}, {0}}},
	{"fan-in", [][]int{{}, {}, {}, {0, 1, 2}}},
	{"diamond", [][]int{{}, {0}, {0}, {1, 2}}},
	{"skip-link", [][]int{{}, {0}, {0, 1}}},
	{"skip-link-backwards", [][]int{{}, {0}, {1, 0}}},
	{"root-in-the-middle", [][]int{{}, {0}, {}, {1, 2}}},
	{"several-roots", [][]int{{}, {}, {}}},
	{"two-chains", [][]int{{}, {}, {0}, {1}}},
	{"parents-in-any-order", [][]int{{}, {}, {1, 0}}},
	{"diamonds-in-a-row", [][]int{{}, {0}, {0}, {1, 2}, {3}, {3}, {4, 5}}},
}

// strictChainFault is where each shape stops being a line.
var strictChainFault = map[string]int{
	"fan-out": 2, "fan-in": 1, "diamond": 2, "skip-link": 2, "skip-link-backwards": 2, "root-in-the-middle": 2,
	"several-roots": 1, "two-chains": 1, "parents-in-any-order": 1, "diamonds-in-a-row": 2,
}

func shapeVectors(c *collector) {
	for _, s := range shapes {
		entries := graph(&maker{}, s.parents...)
		c.good("shape-"+s.name, entries, 40, nil)
		if at, faulty := strictChainFault[s.name]; faulty {
			c.bad("strict-chain-"+s.name, "parents", at, entries, strictChain)
		} else {
			c.good("strict-chain-"+s.name, entries, 40, nil, strictChain)
		}
	}
}

// parentVectors: parent_ids.
func parentVectors(c *collector) {
	m := &maker{}
	root := m.root(gateway, "user_input", 40).sign()
	child := func(ids ...string) string {
		m := &maker{n: 10}
		return m.entry(agent, "step", 40).set("parent_ids", ids).sign()
	}
	after := func(name string, ids ...string) {
		c.bad("parents-"+name, "parents", 1, []string{root, child(ids...)})
	}
	after("empty", []string{}...)
	c.bad("parents-empty-of-the-first", "parents", 0, one(plainRoot().set("parent_ids", []string{}).sign()))
	after("zero-beside-a-hash", "0", hash(root))
	after("hash-beside-zero", hash(root), "0")
	after("zero-twice", "0", "0")
	after("upper-case", strings.ToUpper(hash(root)))
	after("unknown", hash("nobody"))
	after("unknown-beside-known", hash(root), hash("nobody"))
	after("twice", hash(root), hash(root))
	after("cut-off", hash(root)[:63])
	after("empty-text", "")
	after("entry-id", plainRoot().members["entry_id"].(string))
	after("hash-of-the-payload", hash(strings.Split(root, ".")[1]))
	later := m.entry(orders, "later", 40, hash(root)).sign()
	c.bad("parents-later", "parents", 1, []string{root, child(hash(later)), later})
	c.bad("parents-out-of-order", "parents", 0, []string{child(hash(root)), root})
	c.bad("parents-first-cut-away", "parents", 0, threeHops()[1:])
	chain := threeHops()
	c.bad("parents-middle-cut-away", "parents", 1, []string{chain[0], chain[2]})
	c.good("parents-last-cut-away", chain[:2], 40, nil, note("a prefix is a passport of its own; chain_tip tells"))
	c.bad("two-faults-lowest-named", "signature", 0, []string{altered(chain[0]), chain[1], "x"})
	c.bad("two-faults-schema-before-signature", "schema", 0, []string{
		signText(stranger, gateway.header(), string(plainRoot().set("operation", "").payload())), altered(chain[0]),
	})
}

// keyVectors: the key is that of labels.principal and of nothing else.
func keyVectors(c *collector) {
	root := (&maker{}).root(stranger, "user_input", 40)
	c.bad("key-unknown-principal", "no_key", 0, one(root.sign()))
	c.bad("key-unknown-principal-with-jwk", "no_key", 0,
		one(signText(stranger, stranger.headerWith("jwk", stranger.jwk), string(root.payload()))),
		note("a key in the header brings no trust of its own"))
	c.bad("key-unknown-principal-with-known-kid", "no_key", 0,
		one(signText(gateway, gateway.header(), string(root.payload()))))
	claimed := plainRoot()
	c.bad("key-jwk-in-header", "signature", 0,
		one(signText(stranger, gateway.headerWith("jwk", stranger.jwk), string(claimed.payload()))))
	c.bad("key-kid-of-another-principal", "signature", 0,
		one(signText(agent, agent.header(), string(claimed.payload()))))
	c.bad("key-kid-is-another-principal", "signature", 0,
		one(signText(agent, agent.headerWith("kid", agent.id), string(claimed.payload()))))
	c.bad("key-unknown-second", "no_key", 1, []string{
		claimed.sign(), (&maker{n: 1}).entry(stranger, "step", 40, hash(claimed.sign())).sign(),
	})
	c.bad("key-none-at-all", "no_key", 0, one(claimed.sign()), keys(object{}))
	c.bad("key-principal-in-other-case", "no_key", 0,
		one(plainRoot().label("principal", strings.ToUpper(gateway.id)).sign()))
	two := keys(object{gateway.id: []any{agent.jwk, gateway.jwk}})
	c.good("key-second-of-two-by-kid", one(claimed.sign()), 40, nil, two)
	c.good("key-second-of-two-tried", one(signText(gateway, gateway.headerWith("kid", gateway.id), string(claimed.payload()))), 40, nil, two)
	c.good("key-of-several-algorithms", one(claimed.sign()), 40, nil, keys(object{gateway.id: []any{p256.jwk, rsa2048.jwk, gateway.jwk}}))
}
