// Command kest verifies passports, runs the filter and shows what it does.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
	"kest.example/kest/internal/draw"
)

// Exit codes of every command.
const (
	exitGood   = 0
	exitNo     = 1 // the answer is no
	exitMisuse = 2 // misuse, or input that can't be read
)

// errNo says that the answer is no, and that it has been printed.
var errNo = errors.New("no")

type cli struct {
	Demo      demoCmd      `cmd:"" help:"Send allowed, denied and tampered requests through three hops in one process."`
	Proxy     proxyCmd     `cmd:"" help:"Run a .wasm filter as a reverse proxy."`
	Agent     agentCmd     `cmd:"" help:"Serve the workload's identity, keys and claims to proxies."`
	Verify    verifyCmd    `cmd:"" help:"Verify a passport against keys."`
	Inspect   inspectCmd   `cmd:"" help:"Decode a passport WITHOUT verifying it."`
	Canonical canonicalCmd `cmd:"" help:"Write one JSON value in its RFC 8785 form."`
	Config    configCmd    `cmd:"" help:"Work with filter configurations."`
	Policy    policyCmd    `cmd:"" help:"Check, test, evaluate and compile policies."`
	Identity  identityCmd  `cmd:"" help:"Show the identity of this workload, and why it is that one."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
}

// console is where a command reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	os.Exit(run(os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr}))
}

func run(args []string, c console) (code int) {
	var commands cli
	done := -1
	parser, err := kong.New(&commands, kong.Name("kest"),
		kong.Description("Signed, hash-linked lineage for every request, and policy on it.\n\n"+
			"Exit codes: 0 good, 1 the answer is no, 2 misuse or unreadable input."),
		kong.Writers(c.out, c.err), kong.Exit(func(code int) { done = code }), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}), kong.Bind(c))
	if err != nil {
		return report(c, err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	if done >= 0 { // --help has been printed
		return done
	}
	if err != nil {
		return report(c, fmt.Errorf("%w; see kest --help", err))
	}
	return report(c, ctx.Run(c))
}

// report prints an error in one line and finds the exit code.
func report(c console, err error) int {
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, errNo):
		return exitNo
	}
	fmt.Fprintln(c.err, "kest:", draw.Visible(err.Error()))
	return exitMisuse
}
