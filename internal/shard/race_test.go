//go:build race

package shard

const underRaceDetector = true
