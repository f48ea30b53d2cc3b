package core

// sharedVariant returns which variant of a shared message c's peer takes.
func (c *Conn) sharedVariant() int { return sharedPlain }

// encodeVariant returns the frame compressed without context for a window of
// that many bits; nil says that it is to be encoded per connection.
func (s *Shared) encodeVariant(int) []byte { return nil }
