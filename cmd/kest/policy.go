package main

type policyCmd struct {
	Check policyCheckCmd `cmd:"" help:"Say what is wrong with policies and configurations."`
	Test  policyTestCmd  `cmd:"" help:"Hold policies against their decision tables."`
	Eval  policyEvalCmd  `cmd:"" help:"Ask what the policies of one operation say of a context."`
	Build policyBuildCmd `cmd:"" help:"Compile Rego into the filter."`
	Init  policyInitCmd  `cmd:"" help:"Write a security model to start from, with its table."`
}
