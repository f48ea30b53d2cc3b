package looptest_test

import (
	"testing"

	"anyloop/core/loop/looptest"
	"anyloop/loops/poll"
)

// mockModes are the ways of engines that the stream suite runs over.
var mockModes = map[string]looptest.MockMode{
	"plain":                     {},
	"small mark":                {Mark: 1000},
	"overwrites":                {Overwrites: true},
	"holds":                     {Holds: true, Piece: 4000},
	"at once":                   {Inside: true},
	"holds and reports at once": {Holds: true, Inside: true},
	"closes late":               {Late: 20},
	"feeds late":                {LateFeeds: 5},
	"needless room":             {Spurious: true},
	"no end":                    {NoEOF: true, NoCloseWrite: true},
	"small pieces":              {Piece: 150},
	"cannot pause":              {NoPause: true},
	"holds and steals":          {Holds: true, Inside: true, StealAt: 300 << 10},
	"steals":                    {StealAt: 300 << 10},
}

func TestStreamsOverMock(t *testing.T) {
	for name, mode := range mockModes {
		t.Run(name, func(t *testing.T) {
			looptest.RunStreams(t, func(testing.TB) looptest.StreamHost { return mockHost(mode) })
		})
	}
}

// mockHost is a mock engine beside a nested loop.
func mockHost(mode looptest.MockMode) looptest.StreamHost {
	inner := poll.Backend(poll.Nested())
	return looptest.MockHost(mode, inner, func() looptest.Nested { return inner.Thread(0) })
}
