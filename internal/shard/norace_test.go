//go:build !race

package shard

const underRaceDetector = false
