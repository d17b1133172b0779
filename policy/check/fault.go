// Package check finds what is wrong with policies before they are asked: syntax,
// names that nothing has, attributes that our context doesn't have, statements
// that can never match (POLICY.md, Commands).
package check

import "kest.example/kest/internal/fault"

// Fault is one thing that is wrong, and where.
type Fault = fault.Fault

// Faults are all that is wrong, by file and line.
type Faults = fault.List
