using System.Text.Json;
using Platform.Contracts.Messages;
using Platform.Testing;

namespace Platform.Contracts.Tests;

/// <summary>What is on the wire today must be readable by every process of tomorrow: these files are added to, never edited.</summary>
public class MessageContract
{
    private static readonly JsonSerializerOptions Indented = new(ContractsJson.Options) { WriteIndented = true };

    public static TheoryData<string> Names => [.. Samples.Messages.Select(message => message.GetType().Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_message_looks_as_approved_and_reads_back(string name)
    {
        var message = Samples.Messages.Single(sample => sample.GetType().Name == name);
        var json = JsonSerializer.Serialize(message, message.GetType(), Indented);

        Approve.Text(json + "\n", $"{name}.json");

        // Records that hold lists are compared by what they write.
        var read = JsonSerializer.Deserialize(json, message.GetType(), ContractsJson.Options);
        JsonSerializer.Serialize(read, message.GetType(), Indented).ShouldBe(json);
    }

    [Fact]
    public void Every_message_has_a_sample()
    {
        // Parts of messages and the cases of their families are in the samples of the messages that hold them.
        Type[] parts =
        [
            typeof(JobSpec), typeof(TrainJob), typeof(InferJob), typeof(ModelSpec), typeof(MultilayerPerceptron), typeof(DeviceShare),
            typeof(Checkpoint), typeof(MeteredUse), typeof(Device), typeof(EntitledLimit),
        ];
        var messages = typeof(UsageReported).Assembly.GetTypes()
            .Where(type => type.Namespace == typeof(UsageReported).Namespace && type is { IsClass: true, IsPublic: true })
            .Except(parts);

        Samples.Messages.Select(message => message.GetType()).ShouldBe(messages, ignoreOrder: true);
    }

    [Theory]
    [InlineData("""{"kind":"infer","trained_by":"0198c0de-0000-7000-8000-000000000002","dataset":"fashion-mnist","samples":10,"batch_size":5}""")]
    [InlineData("""{"dataset":"fashion-mnist","batch_size":5,"samples":10,"trained_by":"0198c0de-0000-7000-8000-000000000002","kind":"infer"}""")]
    public void A_job_is_told_by_its_kind_wherever_that_stands(string json) =>
        JsonSerializer.Deserialize<JobSpec>(json, ContractsJson.Options)
            .ShouldBe(new InferJob(Samples.Job, "fashion-mnist", Samples: 10, BatchSize: 5));

    [Theory]
    [InlineData("""{"kind":"dance"}""")]
    [InlineData("""{"kind":"infer","dataset":"fashion-mnist","samples":10,"batch_size":5}""")]
    public void An_unknown_kind_or_a_missing_field_is_refused_not_defaulted(string json) =>
        Should.Throw<JsonException>(() => JsonSerializer.Deserialize<JobSpec>(json, ContractsJson.Options));
}
