/** Options of the commands that ask for a job. */
export interface JobLimits {
  /** Bytes per second. */
  maxBytesPerSecond?: number;
  /** Seconds. */
  deadline?: number;
}

/** The fields of a request. */
export function jobLimits({ maxBytesPerSecond, deadline }: JobLimits): {
  max_bytes_per_second?: number;
  deadline_seconds?: number;
} {
  return {
    ...(maxBytesPerSecond === undefined ? {} : { max_bytes_per_second: maxBytesPerSecond }),
    ...(deadline === undefined ? {} : { deadline_seconds: deadline }),
  };
}
