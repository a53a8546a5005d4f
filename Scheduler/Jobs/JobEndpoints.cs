namespace Platform.Scheduler.Jobs;

public static class JobEndpoints
{
    extension(IEndpointRouteBuilder app)
    {
        public IEndpointRouteBuilder MapJobs()
        {
            var jobs = app.MapGroup("/v1/jobs").WithTags("Jobs");

            SubmitJob.Map(jobs);
            JobView.Map(jobs);
            CancelJob.Map(jobs);

            return app;
        }
    }
}

/// <summary>Settings under <c>Jobs</c>.</summary>
public sealed class JobOptions
{
    /// <summary>Lost and faulted attempts after which a job fails.</summary>
    public int AttemptsMax { get; set; } = 5;
}
