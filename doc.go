// Package kest gives every request a passport: a signed, hash-linked record
// of each hop that it went through, with trust scores and taints, and decides
// by policy whether the next hop may happen.
//
// The types get stronger in one direction: bytes become a [Passport] (parsed,
// untrusted), a [Verifier] makes a [*Lineage] of it (verified), and only a
// Lineage can enter a [Hook] or a policy. The package does no I/O of its own:
// identities, keys, engines and caches come in through the interfaces
// [Provider], [KeySource], [Engine] and [Cache].
package kest

// Version is the version of this library, as runtime.version of every entry.
const Version = "0.1.0"

// SchemaVersion is the version of the Kest specification that entries follow.
const SchemaVersion = "0.3.0"

// runtimeName is runtime.name of every entry made here.
const runtimeName = "kest-go"
