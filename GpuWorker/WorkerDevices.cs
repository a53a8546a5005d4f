using Platform.Contracts.Messages;

namespace Platform.GpuWorker;

/// <summary>What this machine offers.</summary>
public static class WorkerDevices
{
    public const string CpuFlavor = "cpu";

    /// <summary>Without a GPU, the CPU is the one device, with the memory that the machine (or its container) has.</summary>
    public static IReadOnlyList<Device> Find() =>
        [new(Index: 0, CpuFlavor, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)];
}
