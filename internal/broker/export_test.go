package broker

import "time"

// SetUpkeepEvery makes upkeep frequent enough for a test to wait for.
func (b *Broker) SetUpkeepEvery(every time.Duration) { b.every = every }

// BackupOf keeps the segments of one partition aside, as a compaction does that
// is then killed. dir is the broker's data directory.
func BackupOf(dir, topic string, number int32) error {
	_, err := makeBackup(engineDir(dir), []partition{{topic: topic, number: number}})
	return err
}

// LoseSegments removes a partition's segments, as a compaction does first.
func LoseSegments(dir, topic string, number int32) error {
	return removeSegments(backup{dir: engineDir(dir)}.now(partition{topic: topic, number: number}.name()))
}
