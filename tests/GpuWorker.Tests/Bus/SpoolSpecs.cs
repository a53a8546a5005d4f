using System.Text.Json;
using Platform.Contracts;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Bus;
using Platform.GpuWorker.Tests.Support;

namespace Platform.GpuWorker.Tests.Bus;

public sealed class SpoolSpecs : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Order_and_message_ids_survive_a_crash()
    {
        var before = Open();
        var messages = Enumerable.Range(0, 25).Select(Message).ToList();
        var ids = messages.Select(message => before.Add(message).MessageId).ToList();
        File.WriteAllText(folder["0000000000000000026-JobStarted-half.json.tmp"], """{"job_id":""");

        // Nothing of the first instance is closed: this is what a killed process leaves.
        var after = Open();
        var last = after.Add(Message(25));

        var read = Drain(after);
        read.Select(entry => entry.Message).ShouldBe([.. messages, Message(25)]);
        read.Select(entry => entry.MessageId).ShouldBe([.. ids, last.MessageId]);
        Directory.GetFiles(folder.Path).ShouldBeEmpty();
    }

    [Fact]
    public void A_message_stays_until_it_is_removed()
    {
        var spool = Open();
        var first = spool.Add(Message(0));
        var second = spool.Add(Message(1));

        spool.Oldest.ShouldBe(first);
        Should.Throw<InvalidOperationException>(() => spool.Remove(second));
        Open().Oldest.ShouldBe(first);
        spool.Remove(first);
        Open().Oldest.ShouldBe(second);
    }

    [Fact]
    public void Numbers_go_on_after_a_restart_so_that_order_holds()
    {
        var spool = Open();
        spool.Add(Message(0));
        spool.Add(Message(1));
        spool.Remove(spool.Oldest!);

        var again = Open();
        again.Add(Message(2));

        Drain(again).Select(entry => entry.Message).ShouldBe([Message(1), Message(2)]);
    }

    [Fact]
    public async Task Sent_waits_for_what_is_there_and_not_for_what_comes()
    {
        var spool = Open();
        var first = spool.Add(Message(0));
        var sent = spool.Sent(TestContext.Current.CancellationToken);
        spool.Add(Message(1));
        sent.IsCompleted.ShouldBeFalse();

        spool.Remove(first);

        await sent.WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
        spool.Count.ShouldBe(1);
    }

    [Fact]
    public void An_unreadable_message_is_put_aside()
    {
        var spool = Open();
        var broken = spool.Add(Message(0));
        spool.Add(Message(1));
        File.WriteAllText(broken.Path, "{}");

        Should.Throw<JsonException>(() => Spool.Read(broken));
        var aside = spool.SetAside(broken);

        File.Exists(aside).ShouldBeTrue();
        Spool.Read(Open().Oldest!).ShouldBe(Message(1));
    }

    [Fact]
    public void Writers_on_many_threads_leave_every_message_once_in_the_order_of_its_thread()
    {
        var spool = Open();

        Parallel.For(0, 4, thread =>
        {
            for (var i = 0; i < 10; i++)
                spool.Add(Message(thread * 100 + i));
        });

        var numbers = Drain(Open()).Select(entry => (int)((JobProgressed)entry.Message).Fraction).ToList();
        numbers.Count.ShouldBe(40);
        for (var thread = 0; thread < 4; thread++)
            numbers.Where(number => number / 100 == thread).ShouldBe(Enumerable.Range(thread * 100, 10));
    }

    private static readonly JobId job = JobId.New();
    private static readonly AttemptId attempt = AttemptId.New();
    private static readonly WorkerId worker = WorkerId.New();

    private static JobProgressed Message(int number) => new(
        job, attempt, Orders.Tenant, worker, number, "step", Checkpoint: null, NodaTime.Instant.FromUnixTimeSeconds(number));

    private Spool Open() => new(folder.Path, TimeProvider.System);

    private static List<(object Message, Guid MessageId)> Drain(Spool spool)
    {
        var read = new List<(object, Guid)>();
        while (spool.Oldest is { } entry)
        {
            read.Add((Spool.Read(entry), entry.MessageId));
            spool.Remove(entry);
        }

        return read;
    }
}
