using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Jobs;

/// <summary>Why an attempt cannot go on, as <c>JobFailed</c> tells it.</summary>
/// <param name="code">Stable, for programs.</param>
/// <param name="reason">For people; never names files outside the artifact store.</param>
/// <param name="retryable">True when the worker, not the job, is at fault.</param>
public sealed class JobFaultException(string code, string reason, bool retryable = false, Exception? cause = null)
    : Exception(reason, cause)
{
    public string Code { get; } = code;

    public bool Retryable { get; } = retryable;

    public static JobFaultException SpecInvalid(string reason) => new("spec.invalid", reason);

    public static JobFaultException DatasetUnknown(string dataset) =>
        new("dataset.unknown", $"There is no dataset '{dataset}'; there is {Datasets.FashionMnist}.");

    public static JobFaultException ModelMissing(string reason) => new("model.missing", reason);

    public static JobFaultException OutOfMemory(string reason, Exception? cause = null) =>
        new("device.out_of_memory", reason, retryable: false, cause);

    public static JobFaultException WorkerFault(string reason, Exception? cause = null) =>
        new("worker.fault", reason, retryable: true, cause);

    /// <summary>Whatever an attempt ended with, as a fault: what is not known to be the job's is the worker's.</summary>
    public static JobFaultException From(Exception error) => error switch
    {
        JobFaultException fault => fault,
        TorchOutOfMemoryException or OutOfMemoryException =>
            OutOfMemory("The device has not enough memory for this model and batch size.", error),
        _ => WorkerFault($"The attempt broke: {error.GetType().Name}.", error),
    };
}
