//go:build race

package wstest

func init() { slow = true }
