using System.Buffers.Binary;
using System.IO.Compression;

namespace Platform.GpuWorker.Jobs;

/// <summary>Labelled images in host memory.</summary>
/// <param name="Images">Count × Pixels grey values, row by row.</param>
/// <param name="Labels">One class per image, below <see cref="Classes"/>.</param>
/// <param name="BytesRead">Size of the files that were read.</param>
public sealed record LabelledImages(byte[] Images, byte[] Labels, int Pixels, int Classes, long BytesRead)
{
    public int Count => Labels.Length;
}

/// <summary>
/// The data sets that this worker holds: folders under the root with files in the IDX format, gzipped, as LeCun's and
/// Zalando's image sets come. Debian's <c>dataset-fashion-mnist</c> installs them under <c>/usr/share/datasets</c>.
/// </summary>
public sealed class Datasets(string root)
{
    public const string FashionMnist = "fashion-mnist";

    /// <summary>Mean and deviation of Fashion-MNIST's training pixels divided by 255.</summary>
    public const double PixelMean = 0.2860, PixelDeviation = 0.3530;

    private const int FashionClasses = 10;
    private const int ImagesMagic = 0x00000803, LabelsMagic = 0x00000801;

    /// <exception cref="JobFaultException"><c>dataset.unknown</c>.</exception>
    public static void Require(string dataset)
    {
        if (dataset != FashionMnist)
            throw JobFaultException.DatasetUnknown(dataset);
    }

    public LabelledImages LoadTrain(string dataset) => Load(dataset, "train");

    public LabelledImages LoadTest(string dataset) => Load(dataset, "t10k");

    private LabelledImages Load(string dataset, string split)
    {
        Require(dataset);
        var imagesFile = Path.Combine(root, dataset, $"{split}-images-idx3-ubyte.gz");
        var labelsFile = Path.Combine(root, dataset, $"{split}-labels-idx1-ubyte.gz");
        if (!File.Exists(imagesFile) || !File.Exists(labelsFile))
            throw JobFaultException.WorkerFault($"This worker does not hold the dataset {dataset}.");

        try
        {
            var (images, shape) = ReadIdx(imagesFile, ImagesMagic, dimensions: 3);
            var (labels, count) = ReadIdx(labelsFile, LabelsMagic, dimensions: 1);
            if (shape[0] != count[0] || labels.Any(label => label >= FashionClasses))
                throw new InvalidDataException("Images and labels do not belong together.");

            return new(images, labels, shape[1] * shape[2], FashionClasses,
                new FileInfo(imagesFile).Length + new FileInfo(labelsFile).Length);
        }
        catch (Exception error) when (error is IOException or InvalidDataException)
        {
            throw JobFaultException.WorkerFault($"The dataset {dataset} cannot be read on this worker.", error);
        }
    }

    // IDX: a magic number whose last byte counts the dimensions, one big-endian size per dimension, then the values.
    private static (byte[] Values, int[] Shape) ReadIdx(string file, int magic, int dimensions)
    {
        using var compressed = File.OpenRead(file);
        using var stream = new GZipStream(compressed, CompressionMode.Decompress);
        if (ReadInt() != magic)
            throw new InvalidDataException($"{file} is no IDX file of that kind.");

        var shape = new int[dimensions];
        var count = 1;
        for (var i = 0; i < dimensions; i++)
            count = checked(count * (shape[i] = ReadInt()));
        var values = new byte[count];
        stream.ReadExactly(values);
        return (values, shape);

        int ReadInt()
        {
            var bytes = new byte[4];
            stream.ReadExactly(bytes);
            return BinaryPrimitives.ReadInt32BigEndian(bytes);
        }
    }
}
