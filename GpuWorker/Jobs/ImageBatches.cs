using Platform.GpuWorker.Torch;

namespace Platform.GpuWorker.Jobs;

/// <summary>Labelled images on a device. Pixels stay bytes until a batch is used: a quarter of the memory of floats.</summary>
internal sealed class ImageBatches : IDisposable
{
    private readonly Tensor images;
    private readonly Tensor labels;

    public ImageBatches(LabelledImages data, TorchDevice device)
    {
        images = Tensor.From((ReadOnlySpan<byte>)data.Images, device, data.Count, data.Pixels);
        using var bytes = Tensor.From((ReadOnlySpan<byte>)data.Labels, device, data.Count);
        labels = bytes.To(DType.Int64);
    }

    public long Bytes => images.Bytes + labels.Bytes;

    /// <summary>Images that the Int64 index names, normalised, shape (batch, pixels), and their classes.</summary>
    public (Tensor Inputs, Tensor Targets) Select(Tensor index) =>
        (Normalise(images.IndexSelect(0, index)), labels.IndexSelect(0, index));

    /// <summary>Neighbouring images in file order.</summary>
    public (Tensor Inputs, Tensor Targets) Range(long start, long count) =>
        (Normalise(images.Narrow(0, start, count)), labels.Narrow(0, start, count));

    public void Dispose()
    {
        images.Dispose();
        labels.Dispose();
    }

    private static Tensor Normalise(Tensor pixels) => pixels.To(DType.Float32)
        .Scaled(1 / (255 * Datasets.PixelDeviation), -Datasets.PixelMean / Datasets.PixelDeviation);
}
