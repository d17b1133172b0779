// Package keys says which key is whose: kest.KeySource over static keys, SPIFFE
// trust bundles with history, JWKS and the key bindings of CONTRACT 8.
//
// A Verifier answers for what an entry's header brings, a binding or a
// certificate chain, and for bindings that come from elsewhere, such as an
// agent's cache. What it is given has no trust of its own: a Bundles, a list of
// Signers and static keys do, each for its own principals.
package keys
