// Package wasmflow gives functions that Go compiled to WebAssembly the control
// flow that WebAssembly has: blocks, loops, and branches to them.
//
// Go's compiler writes a function as one loop around a branch table. To go from
// one place to another, it stores the number of a basic block and begins the
// loop again, which looks the block up. Both V8 and wazero make of this what it
// says: each if and each turn of a loop is an indirect jump, with all registers
// where the loop expects them. This package reads the jumps back, and writes
// each function again by its dominator tree (Ramsey, "Beyond Relooper:
// Recursive Translation of Unstructured Control Flow to Structured Control
// Flow", ICFP 2022), so that an engine sees the loops that the source has.
//
// Go also enters a function in its middle: after a switch between goroutines,
// or when a stack has grown, it comes back with the block behind the call as
// its argument (local 0, PC_B). These places stay. A function that has some
// begins with a table of them. For one that lies in a loop, the head of the
// loop has a table too, which is asked only while local 0 isn't 0.
//
// What this package doesn't recognise, it leaves as it is.
package wasmflow
