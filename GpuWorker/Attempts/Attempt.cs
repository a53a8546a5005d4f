using System.Diagnostics;
using NodaTime;
using NodaTime.Extensions;
using Platform.Contracts.Messages;
using Platform.GpuWorker.Bus;
using Platform.GpuWorker.Jobs;
using Platform.GpuWorker.Metering;
using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Attempts;

/// <summary>What attempts share on one worker.</summary>
public sealed record AttemptServices(
    WorkerSettings Settings, WorkerIdentity Identity, IReadOnlyList<Device> Devices, EnergyMeter Energy, TorchThread Torch,
    Spool Spool, ArtifactStore Artifacts, Datasets Datasets, TimeProvider Time);

/// <summary>
/// One try at running a job: started, stepped in turns with the others on the torch thread, ended once. It says
/// everything through the spool, in this order: <c>JobStarted</c>; <c>UsageReported</c> and <c>JobProgressed</c>; the last
/// <c>UsageReported</c>; then <c>JobCompleted</c>, <c>JobFailed</c> or <c>JobStopped</c>.
/// </summary>
public sealed partial class Attempt
{
    /// <summary>How long a whole device works for one attempt before the next has its turn; at least one step.</summary>
    private static readonly TimeSpan turn = TimeSpan.FromMilliseconds(20);

    private readonly ExecuteJob job;
    private readonly AttemptServices services;
    private readonly ILogger logger;
    private readonly AttemptMeter meter;
    private readonly UsageBatches batches;
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TimeSpan turnLength;
    private JobRun? run;
    private Activity? activity;
    private bool started;
    private long reportedAt;
    private long checkpointAt;
    private long checkpointStep;
    private Checkpoint? checkpoint;
    private volatile StopReason stop;

    public Attempt(ExecuteJob job, AttemptServices services, ILogger logger)
    {
        this.job = job;
        this.services = services;
        this.logger = logger;
        checkpoint = job.Checkpoint;
        turnLength = turn * (job.Device.GpuMilli / 1000.0);
        var device = services.Devices[job.Device.DeviceIndex];
        meter = new(device.Flavor, job.Device.GpuMilli, TorchDeviceOf(device), services.Energy, services.Time);
        batches = new(job, services.Identity, Now);
    }

    private enum StopReason
    {
        None,
        Cancelled,
        HandedBack,
    }

    /// <summary>Completes when the attempt's last message is in the spool; faults when it cannot be written there.</summary>
    public Task Ended => ended.Task;

    /// <summary>Reads files on a pool thread, then steps on the torch thread. Returns at once.</summary>
    public void Start() => Guarded(() =>
    {
        activity = Telemetry.StartAttempt(job);
        Say(new JobStarted(job.JobId, job.AttemptId, job.TenantId, WorkerId, Now));
        _ = Task.Run(Prepare);
    });

    /// <summary>Ends the attempt at its next step: a checkpoint, then <c>JobStopped</c>.</summary>
    public void Cancel() => stop = StopReason.Cancelled;

    /// <summary>The same, so that the job goes on elsewhere; a cancelled job stays cancelled.</summary>
    public void HandBack()
    {
        if (stop == StopReason.None)
            stop = StopReason.HandedBack;
    }

    private void Prepare() => Guarded(() =>
    {
        var device = services.Devices[job.Device.DeviceIndex];
        run = JobRun.Of(new(
            job, services.Artifacts, services.Datasets, TorchDeviceOf(device),
            device.MemoryBytes / 1000 * job.Device.GpuMilli, meter));
        run.Prepare();
        services.Torch.Post(Turn);
    });

    private void Turn() => Guarded(() =>
    {
        if (!started)
        {
            meter.Work(() =>
            {
                run!.Start();
                return true;
            });
            started = true;
            checkpointStep = run!.StepsDone;
            reportedAt = checkpointAt = services.Time.GetTimestamp();
        }

        var more = true;
        var began = services.Time.GetTimestamp();
        do
        {
            if (stop != StopReason.None)
            {
                Stop();
                return;
            }

            more = meter.Work(run!.Step);
            if (more)
                ReportIfDue();
        }
        while (more && services.Time.GetElapsedTime(began) < turnLength);

        if (more)
            services.Torch.Post(Turn);
        else
            Complete();
    });

    private void ReportIfDue()
    {
        if (services.Time.GetElapsedTime(reportedAt) >= services.Settings.MeteringInterval)
        {
            ReportUsage();
            reportedAt = services.Time.GetTimestamp();
        }

        var steps = run!.StepsDone - checkpointStep;
        if (steps > 0 && (services.Time.GetElapsedTime(checkpointAt) >= services.Settings.CheckpointInterval
            || (services.Settings.CheckpointSteps > 0 && steps >= services.Settings.CheckpointSteps)))
        {
            SaveCheckpoint();
            var progress = run.Progress;
            Say(new JobProgressed(
                job.JobId, job.AttemptId, job.TenantId, WorkerId, progress.Fraction, progress.Message, checkpoint, Now));
        }
    }

    private void SaveCheckpoint()
    {
        checkpoint = run!.SaveCheckpoint();
        checkpointStep = checkpoint.Step;
        checkpointAt = services.Time.GetTimestamp();
    }

    private void ReportUsage()
    {
        if (started)
            meter.SeeMemory(run!.TensorBytes);
        if (meter.Take() is { } use)
            Say(batches.Next(use, Now));
    }

    private void Complete()
    {
        var result = run!.Finish();
        ReportUsage();
        Say(new JobCompleted(job.JobId, job.AttemptId, job.TenantId, WorkerId, result.ArtifactUri, result.Metrics, Now));
        run.DeleteCheckpoints();
        End("completed");
    }

    private void Stop()
    {
        SaveCheckpoint();
        ReportUsage();
        Say(new JobStopped(
            job.JobId, job.AttemptId, job.TenantId, WorkerId, stop == StopReason.HandedBack, checkpoint, Now));
        End(stop == StopReason.HandedBack ? "handed back" : "cancelled");
    }

    private void Fail(Exception error)
    {
        var fault = JobFaultException.From(error);
        Failed(error, job.AttemptId.Value, fault.Code);
        ReportUsage();
        Say(new JobFailed(
            job.JobId, job.AttemptId, job.TenantId, WorkerId, fault.Code, fault.Message, fault.Retryable, Now));
        End("failed");
    }

    private void End(string how)
    {
        run?.Dispose();
        Telemetry.AttemptEnded(activity, how);
        AttemptEnded(job.AttemptId.Value, how);
        ended.TrySetResult();
    }

    private void Guarded(Action work)
    {
        try
        {
            try
            {
                work();
            }
            catch (Exception error) when (!ended.Task.IsCompleted)
            {
                Fail(error);
            }
        }
        catch (Exception error)
        {
            // The spool cannot be written: nothing that this worker does is safe any more.
            run?.Dispose();
            ended.TrySetException(error);
        }
    }

    private void Say<T>(T message) where T : notnull => services.Spool.Add(message);

    private static TorchDevice TorchDeviceOf(Device device) =>
        device.Flavor == WorkerDevices.CpuFlavor ? TorchDevice.Cpu : TorchDevice.Cuda(device.Index);

    private Platform.Contracts.WorkerId WorkerId => services.Identity.WorkerId;

    private Instant Now => services.Time.GetUtcNow().ToInstant();

    [LoggerMessage(Level = LogLevel.Information, Message = "Attempt {Attempt} ended: {How}.")]
    private partial void AttemptEnded(Guid attempt, string how);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Attempt {Attempt} failed: {Code}.")]
    private partial void Failed(Exception error, Guid attempt, string code);
}
