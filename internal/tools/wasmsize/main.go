// Command wasmsize prints the size of WebAssembly modules and of their code
// sections, and with -max-code fails when a code section is larger than that.
//
// Envoy compiles a module's whole code section before it serves, so the
// section's size is start-up time: it is what a limit has to watch.
//
// It exits 0 when every module is within the limit, 1 when one isn't, and 2
// when a file can't be read or isn't a well-formed module.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const (
	exitOK      = 0
	exitTooBig  = 1
	exitMisused = 2
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wasmsize", flag.ContinueOnError)
	flags.SetOutput(stderr)
	maxCode := flags.Int("max-code", 0, "fail when a code section has more than this many `bytes`; 0 is no limit")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: wasmsize [-max-code BYTES] FILE…\nexample: wasmsize -max-code 2500000 wasm/lineage.wasm")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitOK
	} else if err != nil {
		return exitMisused
	}
	if flags.NArg() == 0 || *maxCode < 0 {
		flags.Usage()
		return exitMisused
	}
	worst := exitOK
	for _, path := range flags.Args() {
		worst = max(worst, report(path, *maxCode, stdout, stderr))
	}
	return worst
}

func report(path string, maxCode int, stdout, stderr io.Writer) int {
	module, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintf(stderr, "wasmsize: %v\n", err)
		return exitMisused
	}
	code, err := codeSize(module)
	if err != nil {
		fmt.Fprintf(stderr, "wasmsize: %s: %v\n", path, err)
		return exitMisused
	}
	fmt.Fprintf(stdout, "%s: %d bytes, code section %d bytes\n", path, len(module), code)
	if maxCode > 0 && code > maxCode {
		fmt.Fprintf(stderr, "wasmsize: %s: the code section has %d bytes, %d more than the %d allowed: see what the guest imports now\n",
			path, code, code-maxCode, maxCode)
		return exitTooBig
	}
	return exitOK
}
