using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Metering;
using Platform.GpuWorker.Tests.Support;

namespace Platform.GpuWorker.Tests.Metering;

[Collection(TorchTests.Name)]
public sealed class MeteringSpecs
{
    [Fact]
    public async Task A_real_attempts_usage_verifies_and_tampering_is_found()
    {
        using var bench = new AttemptBench(train: 3000);
        var order = bench.Order(Orders.Train(epochs: 8, batchSize: 20, hidden: [128]));
        await bench.Complete(order);
        var batches = bench.Of(order.AttemptId).OfType<UsageReported>().ToList();
        batches.Count.ShouldBeGreaterThan(3, "the attempt must span several metering intervals");

        UsageChain.Verify(batches, bench.PublicKey).ShouldBeNull();

        var cheaper = batches[1] with { Use = batches[1].Use with { GpuMilliseconds = 1 } };
        UsageChain.Verify([batches[0], cheaper, .. batches[2..]], bench.PublicKey)!.Code.ShouldBe("signature_invalid");
        UsageChain.Verify([batches[0], .. batches[2..]], bench.PublicKey)!.Code.ShouldBe("batch_missing");
        UsageChain.Verify([batches[0], batches[0], .. batches[1..]], bench.PublicKey)!.Code.ShouldBe("sequence_repeated");
        using var otherFolder = new TemporaryFolder();
        using var other = WorkerIdentity.Open(otherFolder.Path);
        UsageChain.Verify([other.Sign(batches[0])], bench.PublicKey)!.Code.ShouldBe("signature_invalid");
    }

    [Fact]
    public async Task What_an_attempt_used_is_measured()
    {
        using var bench = new AttemptBench();
        var order = bench.Order(Orders.Train(epochs: 3), gpuMilli: 500);
        var start = TimeProvider.System.GetTimestamp();
        await bench.Complete(order);
        var elapsed = TimeProvider.System.GetElapsedTime(start);
        var batches = bench.Of(order.AttemptId).OfType<UsageReported>().ToList();

        var milliseconds = batches.Sum(batch => batch.Use.GpuMilliseconds);
        milliseconds.ShouldBeGreaterThan(0);
        milliseconds.ShouldBeLessThan((decimal)elapsed.TotalMilliseconds / 2, "half a device costs half its time");
        batches.Sum(batch => batch.Use.EnergyJoules).ShouldBe(milliseconds * 2 / 1000 * 20, tolerance: 0.001m);
        batches[0].Use.EnergySource.ShouldBe("model:watts=20");
        batches[0].Use.Flavor.ShouldBe("cpu");
        batches.Sum(batch => batch.Use.Samples).ShouldBe(3000);
        batches.Sum(batch => batch.Use.BytesRead).ShouldBeGreaterThan(100_000);
        batches[^1].Use.PeakMemoryBytes.ShouldBeGreaterThan(1500 * 784);
        batches.Zip(batches.Skip(1)).ShouldAllBe(pair => pair.First.To == pair.Second.From);
    }

    [Fact]
    public void A_worker_keeps_its_id_and_key_and_guards_them()
    {
        using var folder = new TemporaryFolder();
        WorkerIdentity first;
        using (first = WorkerIdentity.Open(folder.Path))
        {
            Should.Throw<InvalidOperationException>(() => WorkerIdentity.Open(folder.Path))
                .Message.ShouldContain("Another worker");
            File.GetUnixFileMode(folder["worker.key"]).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        using var second = WorkerIdentity.Open(folder.Path);
        second.WorkerId.ShouldBe(first.WorkerId);
        second.PublicKey.ShouldBe(first.PublicKey);
        second.SessionId.ShouldNotBe(first.SessionId);
    }

    [Fact]
    public void The_processors_counters_are_read_where_there_are_any_also_when_they_wrap()
    {
        using var powercap = new TemporaryFolder();
        EnergyMeter.ForCpu(modelWatts: 15, powercap.Path).Source.ShouldBe("model:watts=15");
        foreach (var (package, energy) in new[] { ("intel-rapl:0", 900_000L), ("intel-rapl:1", 100_000L), ("intel-rapl:0:0", 5L) })
        {
            Directory.CreateDirectory(powercap[package]);
            File.WriteAllText(powercap[$"{package}/max_energy_range_uj"], "1000000\n");
            File.WriteAllText(powercap[$"{package}/energy_uj"], $"{energy}\n");
        }

        var meter = EnergyMeter.ForCpu(modelWatts: 15, powercap.Path);
        meter.Source.ShouldBe("rapl");
        var begin = meter.Begin();
        File.WriteAllText(powercap["intel-rapl:0/energy_uj"], "400000\n");
        File.WriteAllText(powercap["intel-rapl:1/energy_uj"], "350000\n");

        meter.JoulesSince(begin, TimeSpan.FromSeconds(1)).ShouldBe(0.5m + 0.25m);
    }
}
