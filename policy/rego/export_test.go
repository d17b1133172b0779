package rego

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"kest.example/kest"
)

// WholeInput is what a policy that reads all of its input gets.
func WholeInput(c *kest.Context) ast.Value { return input(c, nil) }

// LibraryText is the library's module.
var LibraryText = libraryText
